package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/bisect"
	"github.com/entsignal/signalbus/internal/database"
)

var errBad = errors.New("bad")

// refuseAll lets a flush of so many rows for each batch, of which a sender takes
// none, go on to its end. It returns how often the sender was called.
func refuseAll(tr *Trial, burst int, each bool) (calls, probes int) {
	var now time.Time
	for tr.phase != givenUp && calls < 1e6 {
		n := burst
		if tr.phase == probing {
			n = 1
			probes++
		}
		p := bisect.Batch{
			Send: func(_ context.Context, part bisect.Span) error {
				calls++
				if !each {
					return errBad
				}
				errs := make([]error, part.Len())
				for i := range errs {
					errs[i] = errBad
				}
				return &entsignal.BatchError{Errors: errs}
			},
			Stopped: func(context.Context) error { return nil },
			Ended:   func(context.Context) error { return nil },
			Refused: tr.Refused,
		}
		p.Run(context.Background(), n)
		tr.Note(now, 0, errBad)
	}
	return calls, probes
}

func TestSenderThatRefusesEverythingIsCalledAboutAHundredTimes(t *testing.T) {
	for _, burst := range []int{1, 2, 10, 100, 500, 5000, entsignal.MaxBurstCount} {
		for _, each := range []bool{false, true} {
			t.Run(fmt.Sprintf("burst %d, each %v", burst, each), func(t *testing.T) {
				tr := New(time.Minute)
				calls, probes := refuseAll(&tr, burst, each)
				assert.LessOrEqual(t, calls, MaxTries)
				assert.GreaterOrEqual(t, probes, LeastProbes)
			})
		}
	}
}

func TestFlushProbesAfterThreeBatchesAndWalksOnWhenSomethingIsSent(t *testing.T) {
	var now time.Time
	tr := New(time.Minute)
	for range maxStrikes {
		require.Equal(t, walking, tr.phase)
		tr.Refused(0)
		tr.Note(now, 0, errBad)
	}
	require.Equal(t, probing, tr.phase)
	tr.Note(now, 0, nil)
	require.Equal(t, probing, tr.phase, "a row that is gone tells nothing")
	tr.Note(now, 1, nil)
	require.Equal(t, walking, tr.phase)
	require.True(t, tr.works)
	for range 10000 {
		require.True(t, tr.Refused(0))
		tr.Note(now, 0, errBad)
	}
	require.Equal(t, walking, tr.phase, "a sender that works is asked for each row")
	for range maxTrust - 10000 {
		tr.Refused(0)
		tr.Note(now, 0, errBad)
	}
	require.Equal(t, probing, tr.phase, "it may have ceased to")
}

func TestSenderThatCeasesToAnswerIsDoubtedSoon(t *testing.T) {
	tr := New(time.Minute)
	tr.Note(time.Time{}, 1, nil)
	hangs := fmt.Errorf("hangs: %w", context.DeadlineExceeded)
	for range maxStrikes {
		require.Equal(t, walking, tr.phase)
		tr.Note(time.Time{}, 0, hangs)
	}
	require.Equal(t, probing, tr.phase)
	for range maxStrikes {
		require.Equal(t, probing, tr.phase)
		tr.Note(time.Time{}.Add(2*time.Minute), 0, hangs)
	}
	assert.Equal(t, givenUp, tr.phase, "the time for probes is over")
}

func TestDatabaseThatIsAwayIsNotProbed(t *testing.T) {
	network := &net.OpError{Op: "dial", Err: errors.New("refused")}
	away := database.Away(network)
	tr := New(time.Minute)
	for range maxStrikes {
		require.Equal(t, walking, tr.phase)
		tr.Note(time.Time{}, 0, away)
	}
	assert.Equal(t, givenUp, tr.phase)

	tr = New(time.Minute)
	for range maxStrikes {
		tr.Note(time.Time{}, 0, network)
	}
	require.Equal(t, probing, tr.phase, "it is an error of the sender")
	tr.Note(time.Time{}, 0, away)
	assert.Equal(t, givenUp, tr.phase)
}
