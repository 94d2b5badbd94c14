package txn

import (
	"errors"
	"testing"
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
