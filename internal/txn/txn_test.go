package txn

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestBackoffDoublesUpToTheLongestAndIsHalfRandom(t *testing.T) {
	for _, o := range []Options{Defaults(), {MinBackoff: time.Millisecond, MaxBackoff: time.Hour}} {
		longest := o.MinBackoff
		for try := range 200 {
			pause := o.backoff(try)
			assert.LessOrEqual(t, pause, longest)
			assert.GreaterOrEqual(t, pause, longest/2)
			longest = min(2*longest, o.MaxBackoff)
		}
	}
	assert.Zero(t, Options{}.backoff(5))
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

func TestTransactionThatHasLostRunsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lane := NewLane()
		leave := lane.Enter(t.Context(), 0)
		lane.Enter(t.Context(), 1)() // beside the first

		var order []string
		go func() {
			leave := lane.Enter(t.Context(), lossesForLane)
			order = append(order, "alone")
			leave()
		}()
		synctest.Wait()
		go func() {
			lane.Enter(t.Context(), 0)()
			order = append(order, "after it")
		}()
		synctest.Wait()
		assert.Empty(t, order, "the lane is not free yet")
		leave()
		synctest.Wait()
		assert.Equal(t, []string{"alone", "after it"}, order)
	})
}

func TestNobodyWaitsInTheLaneForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lane := NewLane()
		leave := lane.Enter(t.Context(), lossesForLane)
		began := time.Now()
		lane.Enter(t.Context(), 0)() // as the function of the first may do
		assert.Equal(t, lanePatience, time.Since(began))
		leave()
		lane.Enter(t.Context(), lossesForLane)()
		assert.Equal(t, lanePatience, time.Since(began), "what gave up holds nothing")

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		lane.Enter(ended, 0)()
	})
}
