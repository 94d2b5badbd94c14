package order_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

func TestHealthyKeysLeaveFromBehindBadOnes(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		const bad, healthy = 300, 20
		var to arrivals
		p := open(t, db, &to)
		p.move(t, bad+healthy, 2)
		to.before = func(key any, _ int) error {
			if key.(int) <= bad {
				return errors.New("refused")
			}
			return nil
		}
		for range 2 {
			_, err := p.AccountMoved.FlushOrdered(ctx(t), entsignal.Workers(3))
			require.ErrorContains(t, err, "refused")
		}
		for key := bad + 1; key <= bad+healthy; key++ {
			assert.Equal(t, numbers(2), to.of(key))
		}
	})
}

func TestSenderThatRefusesEveryKeyIsNotCalledForEachKey(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		for range 3 {
			p.move(t, 1000, 1)
			p.move(t, 1000, 1)
		}
		var calls atomic.Int32
		to.before = func(any, int) error { calls.Add(1); return errors.New("refused") }
		for _, workers := range []int{1, 4} {
			_, err := p.AccountMoved.FlushOrdered(ctx(t), entsignal.Workers(workers))
			require.ErrorContains(t, err, "given up: nothing was sent in ")
			assert.LessOrEqual(t, calls.Swap(0), int32(110))
		}
	})
}
