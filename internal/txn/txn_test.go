package txn

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestPausesDoubleUpToTheLongestAndAreHalfRandom(t *testing.T) {
	for _, o := range []Options{Defaults(), {MinBackoff: time.Millisecond, MaxBackoff: time.Hour}} {
		longest := o.MinBackoff
		for try := range 200 {
			pause := o.pauses().Pause(try)
			assert.LessOrEqual(t, pause, longest)
			assert.GreaterOrEqual(t, pause, longest/2)
			longest = min(2*longest, o.MaxBackoff)
		}
	}
	assert.Zero(t, Options{}.pauses().Pause(5))
}

func TestRunTellsEachTryHowManyCameBefore(t *testing.T) {
	var tries []int
	lost := errors.New("lost")
	err := Run(t.Context(), Options{Retries: 2}, func(losses int) (bool, error) {
		tries = append(tries, losses)
		return true, &Again{Err: lost, Mark: errors.New("mark")}
	})
	assert.Equal(t, lost, err)
	assert.Equal(t, []int{0, 1, 2}, tries)
}

func TestLossToATransactionThatIsOverNeedsNoPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{Retries: 2, MinBackoff: time.Second, MaxBackoff: time.Minute}
		lost := errors.New("lost")
		began := time.Now()
		err := Run(t.Context(), o, func(losses int) (bool, error) {
			switch losses {
			case 1:
				assert.Zero(t, time.Since(began))
			case 2:
				assert.Positive(t, time.Since(began), "the next time it is no accident")
			}
			return true, fmt.Errorf("insert: %w", &Over{lost})
		})
		assert.ErrorIs(t, err, lost)
		assert.EqualError(t, err, "insert: lost")
	})
}
