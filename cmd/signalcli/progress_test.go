package signalcli

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

// drawn returns the states of a bar, in the order in which they were drawn.
func drawn(screen string) (states []string) {
	for _, s := range strings.FieldsFunc(screen, func(r rune) bool { return r == '\r' || r == '\n' }) {
		if s = strings.TrimSpace(s); s != "" {
			states = append(states, s)
		}
	}
	return states
}

func TestBarFollowsTheCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := newScreen(&out, true, 0)
		left := []int{1000, 900, 950, 500} // 950: others record meanwhile
		p := s.start(t.Context(), func(context.Context) (int, error) {
			n := left[0]
			left = left[1:]
			return n, nil
		})
		time.Sleep(7 * time.Second)
		synctest.Wait()
		_, err := s.Write([]byte("level=INFO msg=hello\n"))
		assert.NoError(t, err)
		p.end(1000)

		screen := out.String()
		states := drawn(screen)
		assert.Contains(t, states[0], "(0/1000")
		assert.Contains(t, screen, "(100/1000")
		assert.NotContains(t, screen, "(50/1000", "a bar doesn't go back")
		assert.Contains(t, screen, "(500/1000")
		assert.Contains(t, screen, "signals/s")
		assert.Contains(t, screen, "\rlevel=INFO msg=hello\n", "a line of its own")
		assert.Contains(t, states[len(states)-1], "(1000/1000")
		assert.True(t, strings.HasSuffix(screen, "\n"))
		t.Log("\n" + strings.Join(states, "\n"))
	})
}

func TestBarFitsOnANarrowTerminal(t *testing.T) {
	for _, width := range []int{40, 60, 80, 99, 200} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			left := []int{5_000_000, 2_500_000}
			p := newScreen(&out, true, width).start(t.Context(), func(context.Context) (int, error) {
				n := left[0]
				left = left[1:]
				return n, nil
			})
			time.Sleep(3 * time.Second)
			synctest.Wait()
			p.end(5_000_000)
			states := drawn(out.String())
			assert.Contains(t, states[len(states)-1], "(5000000/5000000")
			for _, state := range states {
				assert.Less(t, utf8.RuneCountInString(state), width, state)
			}
		})
	}
}

func TestNoBarWithoutATerminalOrACount(t *testing.T) {
	for name, test := range map[string]struct {
		bars  bool
		count int
		err   error
	}{
		"nothing to send":      {true, 0, nil},
		"it can't be counted":  {true, 0, errors.New("denied")},
		"the count is partial": {true, 5, errors.New("denied")},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			p := newScreen(&out, test.bars, 0).start(t.Context(), func(context.Context) (int, error) { return test.count, test.err })
			p.end(0)
			assert.Empty(t, out.String())
		})
	}
	assert.Nil(t, newScreen(&bytes.Buffer{}, false, 0).follow(t.Context(), nil, selection{}))
	(*progress)(nil).end(3)
}

func TestSlowCountIsAskedForLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		polls := 0
		p := newScreen(&bytes.Buffer{}, true, 0).start(t.Context(), func(ctx context.Context) (int, error) {
			polls++
			time.Sleep(time.Second)
			return 100, nil
		})
		time.Sleep(60 * time.Second)
		p.end(0)
		assert.LessOrEqual(t, polls, 8)
	})
}
