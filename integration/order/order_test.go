package order_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/order/ent/levelreached"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestKeysAreSentSideBySideEachInItsOrder(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		const accounts, each, workers = 10, 12, 3
		var to arrivals
		p := open(t, db, &to)
		p.move(t, accounts, each)
		if !isSQLite(db) { // where flushes take turns
			var meet sync.WaitGroup
			meet.Add(workers)
			to.before = func(key any, number int) error {
				if key.(int) <= workers && number == 1 {
					meet.Done()
					meet.Wait() // hangs unless they are sent side by side
				}
				return nil
			}
		}
		n, err := p.AccountMoved.FlushOrdered(ctx(t), entsignal.Workers(workers))
		require.NoError(t, err)
		assert.Equal(t, accounts*each, n)
		for account := range accounts {
			assert.Equal(t, numbers(each), to.of(account+1))
		}
		assert.Zero(t, p.pending(t, "AccountMoved"))
	})
}

func TestKeyThatFailsWaitsAlone(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		const accounts, each = 9, 12
		var to arrivals
		p := open(t, db, &to)
		p.move(t, accounts, each)
		bad := errors.New("bad")
		at := func(account int) int { return account * 5 % 13 } // the number at which it fails; 0 and 13 at none
		to.before = func(key any, number int) error {
			if account := key.(int); account != 8 && number == at(account) {
				return bad
			}
			return nil
		}
		for _, workers := range []int{1, 4} {
			_, err := p.bus.FlushOrdered(ctx(t), entsignal.Only("AccountMoved"), entsignal.Workers(workers))
			require.ErrorIs(t, err, bad)
			var flush *entsignal.FlushError
			require.ErrorAs(t, err, &flush)
			assert.Equal(t, "AccountMoved", flush.Signal)
			assert.Regexp(t, `key \d: .*bad`, err.Error())
			for account := 1; account <= accounts; account++ {
				want := each
				if account != 8 && at(account) > 0 && at(account) <= each {
					want = at(account) - 1
				}
				assert.Equal(t, numbers(want), slices.Compact(to.of(account)), "account %d", account)
			}
		}
		to.before = nil
		_, err := p.AccountMoved.FlushOrdered(ctx(t), entsignal.Workers(4))
		require.NoError(t, err)
		for account := range accounts {
			assert.Equal(t, numbers(each), to.of(account+1))
		}
	})
}

func TestBrokerThatIsAwayEndsAFlushOfKeys(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		p.move(t, 10, 1)
		tries := 0
		to.before = func(any, int) error {
			tries++
			return entsignal.Unavailable(errors.New("no broker"))
		}
		_, err := p.AccountMoved.FlushOrdered(ctx(t))
		require.True(t, entsignal.IsUnavailable(err))
		assert.Equal(t, 1, tries)
		assert.Equal(t, 10, p.pending(t, "AccountMoved"))
	})
}

func TestProcessesShareKeys(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		const accounts, each = 8, 12
		var to arrivals
		one := open(t, db, &to)
		two := join(t, db, &to)
		one.move(t, accounts, each)
		holding, goOn := make(chan struct{}), make(chan struct{})
		to.before = func(key any, number int) error {
			if key == 1 && number == 1 {
				close(holding)
				<-goOn
			}
			return nil
		}
		first := make(chan error, 1)
		go func() {
			_, err := one.AccountMoved.FlushOrdered(context.Background())
			first <- err
		}()
		select {
		case err := <-first:
			t.Fatalf("it ended early: %v", err)
		case <-holding: // account 1
		}
		n, err := two.AccountMoved.FlushOrdered(ctx(t), entsignal.Wait(0), entsignal.Workers(2))
		require.ErrorIs(t, err, entsignal.ErrBusy)
		assert.ErrorContains(t, err, "key 1: ")
		assert.Equal(t, (accounts-1)*each, n, "what is not held is sent")
		for account := 2; account <= accounts; account++ {
			assert.Equal(t, numbers(each), to.of(account))
		}
		second := make(chan error, 1)
		go func() {
			_, err := two.AccountMoved.FlushOrdered(context.Background())
			second <- err
		}()
		close(goOn)
		require.NoError(t, <-first)
		require.NoError(t, <-second, "it waits for its turn")
		assert.Equal(t, numbers(each), to.of(1), "by turns, as it may be")
		assert.Equal(t, accounts*each, to.count())
		assert.Zero(t, one.pending(t, "AccountMoved"))
	})
}

func TestOrderWithinAKeyIsThatOfTheSchema(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		documents := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
		for _, revision := range []int{3, 1, 4, 2, 5} {
			for _, document := range documents {
				p.DocumentChanged.Create().SetDocument(document).SetRevision(revision).SetUrgent(revision == 4).ExecX(ctx(t))
			}
		}
		n, err := p.DocumentChanged.FlushOrdered(ctx(t), entsignal.Workers(3))
		require.NoError(t, err)
		assert.Equal(t, 15, n)
		for _, document := range documents {
			assert.Equal(t, []int{4, 1, 2, 3, 5}, to.of(document))
		}
	})
}

// Whether the flush waits for the row that changes, or is busy with one before it.
func TestRowOfAKeyThatChangesIsSentWhereItBelongs(t *testing.T) {
	t.Parallel()
	testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		document := uuid.New()
		for revision := range 4 {
			p.DocumentChanged.Create().SetDocument(document).SetRevision(revision + 1).ExecX(ctx(t))
		}
		change := func(tx interface {
			Exec(query string, args ...any) (sql.Result, error)
		}, from, to int) {
			t.Helper()
			_, err := tx.Exec(fmt.Sprintf("UPDATE document_changeds SET revision = %d WHERE revision = %d", to, from))
			require.NoError(t, err)
		}
		pool := db.Open(t)
		to.before = func(_ any, number int) error {
			if number == 2 {
				change(pool, 3, 10)
			}
			return nil
		}
		tx, err := pool.Begin()
		require.NoError(t, err)
		change(tx, 1, 9)
		assert.True(t, waits(t, func() error {
			_, err := p.DocumentChanged.FlushOrdered(context.Background())
			return err
		}, tx.Commit))
		assert.Equal(t, []int{2, 4, 9, 10}, to.of(document))
	})
}

func TestKeysOfEachType(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		names := []string{"", "a b", "a' \\ \"b\"", "日本", "key 1", fmt.Sprint(uuid.New())}
		isMySQL := db.Dialect == dialect.MySQL
		tx, err := p.Tx(ctx(t))
		require.NoError(t, err)
		for i := range 3 {
			tx.LevelReached.Create().SetLevel(levelreached.LevelLow).SetNumber(i + 1).ExecX(ctx(t))
			tx.LevelReached.Create().SetLevel(levelreached.LevelHigh).SetNumber(i + 1).ExecX(ctx(t))
			if isMySQL { // which can't lock them
				continue
			}
			for _, name := range names {
				tx.NameGreeted.Create().SetName(name).SetNumber(i + 1).ExecX(ctx(t))
			}
		}
		require.NoError(t, tx.Commit())
		n, err := p.bus.FlushOrdered(ctx(t), entsignal.Only("LevelReached", "NameGreeted"), entsignal.Workers(2))
		require.NoError(t, err)
		assert.Equal(t, numbers(3), to.of(levelreached.LevelLow))
		assert.Equal(t, numbers(3), to.of(levelreached.LevelHigh))
		if isMySQL {
			assert.Equal(t, 6, n)
			return
		}
		for _, name := range names {
			assert.Equal(t, numbers(3), to.of(name), "name %q", name)
		}
	})
}

func TestWorkersOfAnOrderedFlushNeedAKey(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		p.move(t, 2, 2)
		p.DoorOpened.Create().SetNumber(1).ExecX(ctx(t))
		n, err := p.bus.FlushOrdered(ctx(t), entsignal.Workers(2), entsignal.Only("AccountMoved", "DoorOpened"))
		require.EqualError(t, err, "entsignal: signal DoorOpened: FlushOrdered with Workers(2) needs an OrderKey, and DoorOpened has none; leave out the option or the signal")
		assert.Equal(t, 4, n, "the others are sent")
		n, err = p.DoorOpened.FlushOrdered(ctx(t), entsignal.Workers(1))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	})
}

func TestSignalsTellTheirKey(t *testing.T) {
	t.Parallel()
	var to arrivals
	p := join(t, testdb.New(t, testdb.SQLite), &to)
	keys := make(map[string]string)
	for _, info := range p.bus.Signals() {
		keys[info.Name] = info.OrderKey
		assert.Equal(t, info.Name == "AccountLocked" || info.Name == "NameGreeted", info.LockOrderKey, info.Name)
	}
	assert.Equal(t, map[string]string{
		"AccountMoved": "account", "AccountLocked": "account", "DocumentChanged": "document",
		"LevelReached": "level", "NameGreeted": "name", "DoorOpened": "", "TaskRanked": "", "CardDrawn": "", "JobQueued": "",
	}, keys)
}

func TestOrderedFlushOfKeysEndsUnderLoad(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		p.move(t, 2, 3)
		to.before = func(key any, number int) error {
			return p.AccountMoved.Create().SetAccount(key.(int)).SetNumber(number + 3).Exec(context.Background())
		}
		n, err := p.AccountMoved.FlushOrdered(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 6, n)
	})
}

func TestErrorOfASenderIsNotTakenForOneOfTheFlush(t *testing.T) {
	t.Parallel()
	for name, mistakable := range map[string]error{
		"a network": &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}, // of the key's own endpoint
		"a context": context.Canceled,
		"a turn":    entsignal.ErrBusy,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
				var to arrivals
				p := open(t, db, &to)
				p.move(t, 4, 3)
				tries := 0
				to.before = func(key any, _ int) error {
					if key == 1 {
						tries++
						return fmt.Errorf("of the sender: %w", mistakable)
					}
					return nil
				}
				n, err := p.AccountMoved.FlushOrdered(ctx(t), entsignal.Wait(0))
				require.ErrorIs(t, err, mistakable)
				require.ErrorContains(t, err, "of the sender")
				assert.Equal(t, 9, n)
				assert.Equal(t, 1, tries)
				assert.Empty(t, to.of(1))
			})
		})
	}
}
