package order_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

// batches counts the batches of which something was sent.
type batches struct {
	mu sync.Mutex
	n  int
}

func (b *batches) Observe(_ context.Context, e entsignal.Event) {
	if _, ok := e.(entsignal.Sent); ok {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.n++
	}
}

func TestKeysShareABatch(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		var (
			to   arrivals
			sent batches
		)
		p := open(t, db, &to, entsignal.WithObserver(&sent))
		p.move(t, 100, 3)
		_, err := p.AccountMoved.FlushOrdered(ctx(t), entsignal.Burst(1000))
		require.NoError(t, err)
		assert.Equal(t, 1, sent.n)
		for account := range 100 {
			assert.Equal(t, numbers(3), to.of(account+1))
		}
		p.move(t, 100, 3)
		_, err = p.AccountMoved.FlushOrdered(ctx(t), entsignal.Burst(100))
		require.NoError(t, err)
		assert.Equal(t, 1+3, sent.n)
	})
}

// In one batch there are bad signals of several keys.
func TestBadSignalsInABatchOfKeysBlockTheirOwnKeysOnly(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		const accounts, each = 40, 5
		var to arrivals
		p := open(t, db, &to)
		p.move(t, accounts, each)
		bad := make(map[int]int, accounts) // the number at which an account fails
		for account := range accounts {
			bad[account+1] = rand.IntN(3 * each)
		}
		to.before = func(key any, number int) error {
			if bad[key.(int)] == number {
				return errors.New("refused")
			}
			return nil
		}
		for _, workers := range []int{1, 3} {
			_, err := p.AccountMoved.FlushOrdered(ctx(t), entsignal.Burst(1000), entsignal.Workers(workers))
			require.ErrorContains(t, err, "refused", "%v", bad)
			for account, number := range bad {
				want := each
				if 0 < number && number <= each {
					want = number - 1
				}
				assert.Equal(t, numbers(want), append([]int{}, to.of(account)...), "account %d of %v", account, bad)
			}
		}
	})
}

func TestKeyOfWhichARowIsHeldComesLast(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		const accounts, each = 6, 3
		var to arrivals
		p := open(t, db, &to)
		p.move(t, accounts, each)
		tx, err := db.Open(t).Begin()
		require.NoError(t, err)
		rows, err := tx.Query("SELECT id FROM account_moveds WHERE account_id = 2 AND number = 2 FOR UPDATE")
		require.NoError(t, err)
		require.NoError(t, rows.Close())
		others := make(chan struct{})
		to.before = func(key any, number int) error {
			if key == accounts && number == each {
				close(others)
			}
			return nil
		}
		done := make(chan error, 1)
		go func() {
			_, err := p.AccountMoved.FlushOrdered(context.Background(), entsignal.Burst(1000))
			done <- err
		}()
		select {
		case <-others:
		case err := <-done:
			t.Fatalf("it did not wait for the row: %v", err)
		}
		assert.Empty(t, to.of(2))
		require.NoError(t, tx.Rollback())
		require.NoError(t, <-done)
		for account := range accounts {
			assert.Equal(t, numbers(each), to.of(account+1))
		}
	})
}

// The walk through the table makes several steps.
func TestKeysWithRowsAllOverALongTableKeepTheirOrder(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		const rows, accounts = 21_000, 7
		var to arrivals
		p := open(t, db, &to)
		pool := db.Open(t)
		for from := 0; from < rows; from += 1000 {
			values := make([]string, 1000)
			for i := range values {
				values[i] = fmt.Sprintf("(%d, %d)", (from+i)%accounts+1, (from+i)/accounts+1)
			}
			_, err := pool.Exec("INSERT INTO account_moveds (account_id, number) VALUES " + strings.Join(values, ", "))
			require.NoError(t, err)
		}
		bad := errors.New("bad")
		to.before = func(key any, number int) error {
			if key == 3 && number == 1000 { // in the first step
				return bad
			}
			return nil
		}
		n, err := p.AccountMoved.FlushOrdered(ctx(t), entsignal.Burst(2000), entsignal.Workers(2))
		require.ErrorIs(t, err, bad)
		assert.Equal(t, rows-(rows/accounts-999), n)
		for account := range accounts {
			want := rows / accounts
			if account+1 == 3 {
				want = 999
			}
			assert.Equal(t, numbers(want), to.of(account+1), "account %d", account+1)
		}
	})
}
