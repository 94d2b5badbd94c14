package retry

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/database"
)

var errBad = errors.New("bad")

func TestPausesBetweenAttemptsDoubleUpToTheirLimit(t *testing.T) {
	pauses := func(p Policy, n int) (all []time.Duration) {
		d := p.pauses()
		assert.InDelta(t, 0.5, d.Jitter, 0, "up to a half less")
		d.Jitter = 0
		for i := range n {
			all = append(all, d.Pause(i)/time.Second)
		}
		return all
	}
	assert.Equal(t, []time.Duration{10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600}, pauses(Policy{}, 11))
	assert.Equal(t, []time.Duration{7200, 7200}, pauses(Policy{MinBackoff: 2 * time.Hour}, 2))
	assert.Equal(t, []time.Duration{1, 2, 3, 3}, pauses(Policy{MinBackoff: time.Second, MaxBackoff: 3 * time.Second}, 4))
}

func TestRowsWithTheSameFailureShareAStatement(t *testing.T) {
	now := time.Now()
	p := Policy{MaxAttempts: 2}
	changes := p.Changes([]Attempt{
		{ID: 1, Err: errBad},
		{ID: 2, Err: entsignal.Permanent(errBad)},
		{ID: 3, Err: errBad},
		{ID: 4, Err: errors.New("other")},
		{ID: 5, Err: errBad, State: State{Attempts: 1}},
	}, now)
	require.Len(t, changes, 4)
	var ids [][]any
	for _, c := range changes {
		ids = append(ids, c.IDs)
	}
	assert.Equal(t, [][]any{{1, 3}, {2}, {4}, {5}}, ids)

	waits := changes[0].Set
	assert.Equal(t, database.Value{Column: FieldAttempts, Value: 1}, waits[0])
	assert.WithinRange(t, waits[1].Value.(time.Time), now.Add(5*time.Second-time.Millisecond), now.Add(10*time.Second))
	assert.Equal(t, database.Value{Column: FieldFailedAt}, waits[2])
	assert.Equal(t, database.Value{Column: FieldError, Value: "bad"}, waits[3])
	for _, dead := range []database.Change{changes[1], changes[3]} {
		assert.Equal(t, database.Value{Column: FieldRetryAt}, dead.Set[1])
		assert.Equal(t, database.Value{Column: FieldFailedAt, Value: now.UTC().Truncate(time.Microsecond)}, dead.Set[2])
	}
	assert.Equal(t, &database.Value{Column: FieldAttempts, Value: 1}, changes[3].If)
}

func TestTextOfAnErrorIsCutBetweenItsLetters(t *testing.T) {
	assert.Equal(t, "bad", errorText(errBad))
	for _, text := range []string{strings.Repeat("x", 999) + "äö", strings.Repeat("x", 998) + "äö", strings.Repeat("語", 400)} {
		got := errorText(errors.New(text))
		assert.LessOrEqual(t, len(got), maxErrorText+len("…"))
		assert.True(t, strings.HasPrefix(text, strings.TrimSuffix(got, "…")), got)
	}
	assert.Equal(t, "a\uFFFDb\uFFFD", errorText(errors.New("a\x00b\xc3")))
}

func FuzzErrorText(f *testing.F) {
	for _, text := range []string{"", "a\x00b", "\xff", strings.Repeat("語", 400), strings.Repeat("x", 999) + "\xe8\xaa"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := errorText(errors.New(text))
		require.True(t, utf8.ValidString(got))
		require.NotContains(t, got, "\x00")
		require.LessOrEqual(t, len(got), maxErrorText+len("…"))
	})
}
