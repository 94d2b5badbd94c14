package bank_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/bank/ent"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

func TestContendedIncrementsAreExact(t *testing.T) {
	t.Parallel()
	const (
		goroutines = 10
		increments = 50
	)
	for _, level := range []sql.IsolationLevel{sql.LevelRepeatableRead, sql.LevelSerializable} {
		t.Run(level.String(), func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, b *bank) {
				id := b.account(t, "ann").ID
				var (
					wg       sync.WaitGroup
					failures = make(chan error, goroutines*increments)
					losses   [20]atomic.Int64 // how many calls lost so often
				)
				for range goroutines {
					wg.Go(func() {
						for range increments {
							tries := 0
							failures <- b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
								tries++
								read := tx.Account.Get
								if level == sql.LevelRepeatableRead { // at which MySQL doesn't notice a lost update
									read = func(ctx context.Context, id int) (*ent.Account, error) { return tx.Account.Lock(ctx, id) }
								}
								a, err := read(ctx, id)
								if err != nil {
									return err
								}
								if err := a.Update().SetBalance(a.Balance + 1).Exec(ctx); err != nil {
									return err
								}
								return tx.MoneyMoved.Create().SetNumber(a.Balance + 1).Exec(ctx)
							}, entsignal.Isolation(level))
							losses[tries-1].Add(1)
						}
					})
				}
				wg.Wait()
				for n := range losses {
					if calls := losses[n].Load(); calls > 0 {
						t.Logf("%d calls lost %d times", calls, n)
					}
				}
				close(failures)
				for err := range failures {
					assert.NoError(t, err)
				}
				assert.Equal(t, goroutines*increments, b.balance(t, id))
				sent := b.moved.Keys()
				slices.Sort(sent)
				assert.Equal(t, upTo(goroutines*increments), sent, "one message per increment, none of a lost try")
			})
		})
	}
}

func TestStrangersDontPayForTransactionsThatContend(t *testing.T) {
	t.Parallel()
	testdb.On(t, servers, func(t *testing.T, db *testdb.DB) {
		b := open(t, db)
		ann, bob := b.account(t, "ann").ID, b.account(t, "bob").ID
		add := func(id int, fails func(tries int) error) (tries int, err error) {
			err = b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
				tries++
				if _, err := tx.Account.Lock(ctx, id); err != nil {
					return err
				}
				if err := tx.Account.UpdateOneID(id).AddBalance(1).Exec(ctx); err != nil {
					return err
				}
				return fails(tries)
			}, quick)
			return tries, err
		}
		none := func(int) error { return nil }
		tries, err := add(ann, func(tries int) error {
			if tries < 3 {
				return entsignal.ErrSerialization
			}
			// By now it has its row for itself, and no other.
			strangers, err := add(bob, none)
			assert.NoError(t, err)
			assert.Equal(t, 1, strangers)
			return nil
		})
		require.NoError(t, err)
		assert.Equal(t, 3, tries)
		assert.Equal(t, 1, b.balance(t, bob))
	})
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i + 1
	}
	return all
}

// skew is a transaction beside that of a try. Both read all accounts and add
// one: under SERIALIZABLE only one of them may commit.
type skew struct {
	t  *testing.T
	tx *sql.Tx
}

func (b *bank) skew(t *testing.T) *skew {
	t.Helper()
	tx, err := b.pool(t).BeginTx(ctx(t), &sql.TxOptions{Isolation: sql.LevelSerializable})
	require.NoError(t, err)
	s := &skew{t, tx}
	s.exec("SELECT count(*) FROM accounts")
	return s
}

func (s *skew) exec(query string) {
	_, err := s.tx.Exec(query)
	require.NoError(s.t, err)
}

func (s *skew) commit() {
	s.exec("INSERT INTO accounts (owner, balance) VALUES ('other', 0)")
	require.NoError(s.t, s.tx.Commit())
}

func TestCommitThatFailsToSerializeRunsAgain(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX}, func(t *testing.T, db *testdb.DB) {
		b := open(t, db)
		var failed []error
		tries := 0
		err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			tries++
			tx.OnCommit(func(next ent.Committer) ent.Committer {
				return ent.CommitFunc(func(ctx context.Context, tx *ent.Tx) error {
					err := next.Commit(ctx, tx)
					if err != nil {
						failed = append(failed, err)
					}
					return err
				})
			})
			var other *skew
			if tries == 1 {
				other = b.skew(t)
			}
			n := tx.Account.Query().CountX(ctx)
			tx.Account.Create().SetOwner(fmt.Sprint("account ", n)).ExecX(ctx)
			tx.MoneyMoved.Create().SetNumber(n).ExecX(ctx)
			if tries == 1 {
				other.commit()
			}
			return nil
		}, entsignal.Isolation(sql.LevelSerializable))
		require.NoError(t, err)
		assert.Equal(t, 2, tries)
		require.Len(t, failed, 1, "it was the COMMIT that failed")
		assert.True(t, entsignal.IsSerializationFailure(failed[0]), failed[0])
		assert.Equal(t, []int{1}, b.moved.Keys())
		assert.Equal(t, 2, b.Account.Query().CountX(ctx(t)))
	})
}

func TestDeadlockRunsAgain(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		b := open(t, db)
		ids := []int{b.account(t, "ann").ID, b.account(t, "bob").ID}
		var (
			wg     sync.WaitGroup
			locked sync.WaitGroup
			mu     sync.Mutex
			tries  int
		)
		locked.Add(2)
		for i := range 2 {
			wg.Go(func() {
				first := true
				assert.NoError(t, b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
					mu.Lock()
					tries++
					mu.Unlock()
					one, err := tx.Account.Lock(ctx, ids[i])
					if err != nil {
						return err
					}
					if first {
						first = false
						locked.Done()
						locked.Wait()
					}
					two, err := tx.Account.Lock(ctx, ids[1-i])
					if err != nil {
						return err
					}
					if err := one.Update().AddBalance(1).Exec(ctx); err != nil {
						return err
					}
					return two.Update().AddBalance(1).Exec(ctx)
				}, entsignal.Isolation(sql.LevelReadCommitted)))
			})
		}
		wg.Wait()
		assert.Equal(t, 2, b.balance(t, ids[0]))
		assert.Equal(t, 2, b.balance(t, ids[1]))
		assert.Equal(t, 3, tries, "one of the two was run again")
	})
}

// conflict makes the transaction of a try meet one that was faster, under
// REPEATABLE READ or above; on MariaDB, which forgives that, a deadlock.
func (b *bank) conflict(t *testing.T, ctx context.Context, tx *ent.Tx, id int) error {
	t.Helper()
	if b.db.Dialect != dialect.MySQL {
		tx.Account.GetX(ctx, id)
		_, err := b.pool(t).Exec("UPDATE accounts SET balance = balance + 10")
		require.NoError(t, err)
		return tx.Account.UpdateOneID(id).AddBalance(1).Exec(ctx)
	}
	// The other one changes more rows, so the server chooses ours.
	other, err := b.pool(t).BeginTx(ctx, nil)
	require.NoError(t, err)
	defer other.Rollback()
	for i := range 20 {
		_, err = other.Exec("INSERT INTO accounts (owner, balance) VALUES (?, 0)", fmt.Sprint("filler ", i))
		require.NoError(t, err)
	}
	_, err = other.Exec("UPDATE accounts SET balance = balance + 10 WHERE owner = 'bob'")
	require.NoError(t, err)
	tx.Account.UpdateOneID(id).AddBalance(1).ExecX(ctx)
	waits := make(chan error, 1)
	go func() {
		_, err := other.Exec("UPDATE accounts SET balance = balance + 10 WHERE id = ?", id)
		waits <- err
	}()
	err = tx.Account.Update().AddBalance(1).Exec(ctx) // bob's too
	require.NoError(t, <-waits)
	return err
}

func TestConflictCantBeSwallowed(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		b := open(t, db)
		id := b.account(t, "ann").ID
		b.account(t, "bob")
		tries := 0
		err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			if tries++; tries > 1 {
				return tx.Entry.Create().SetAmount(tries).Exec(ctx)
			}
			err := b.conflict(t, ctx, tx, id)
			assert.True(t, entsignal.IsSerializationFailure(err), err)
			// By now MySQL is outside of any transaction: what follows would
			// be there for good.
			err = tx.Entry.Create().SetAmount(tries).Exec(ctx)
			assert.True(t, entsignal.IsSerializationFailure(err), err)
			return nil
		})
		require.NoError(t, err)
		assert.Equal(t, 2, tries)
		assert.Equal(t, 2, b.Entry.Query().OnlyX(ctx(t)).Amount)
	})
}

func TestConflictRunsAgainThoughItsErrorWasRewritten(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		b := open(t, db)
		id := b.account(t, "ann").ID
		b.account(t, "bob")
		tries := 0
		err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			if tries++; tries > 1 {
				return nil
			}
			return fmt.Errorf("can't pay: %v", b.conflict(t, ctx, tx, id)) //nolint:errorlint // as careless code does
		})
		require.NoError(t, err)
		assert.Equal(t, 2, tries)
	})
}

func TestSwallowedErrorIsReportedWithTheCommitThatFails(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX}, func(t *testing.T, db *testdb.DB) {
		b := open(t, db)
		b.account(t, "ann")
		tries := 0
		err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			tries++
			tx.MoneyMoved.Create().SetNumber(1).ExecX(ctx)
			_ = tx.Account.Create().SetOwner("ann").Exec(ctx)
			return nil
		})
		assert.ErrorContains(t, err, "entsignal: commit: ")
		assert.ErrorContains(t, err, "a statement failed")
		assert.ErrorContains(t, err, "duplicate key")
		assert.Equal(t, 1, tries)
		assert.Empty(t, b.moved.Keys())
	})
}

func TestSwallowedErrorIsForgivenByDatabasesThatGoOn(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.MariaDB, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		b := open(t, db)
		b.account(t, "ann")
		err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			tx.MoneyMoved.Create().SetNumber(1).ExecX(ctx)
			assert.Error(t, tx.Account.Create().SetOwner("ann").Exec(ctx))
			return nil
		})
		require.NoError(t, err)
		assert.Equal(t, []int{1}, b.moved.Keys())
	})
}

func TestBusySQLiteIsWaitedFor(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		db.DSN += "&_pragma=busy_timeout(0)"
		b := open(t, db)
		other, err := b.pool(t).Begin()
		require.NoError(t, err)
		defer other.Rollback()
		tries := 0
		// Without another transaction's end the first BEGIN IMMEDIATE can't
		// succeed; the hook of the first pause is the failure itself.
		err = b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			tries++
			return nil
		}, entsignal.Retries(2), quick)
		assert.True(t, entsignal.IsSerializationFailure(err), err)
		assert.Zero(t, tries)
		require.NoError(t, other.Rollback())
		require.NoError(t, b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			return tx.Account.Create().SetOwner("ann").Exec(ctx)
		}))
	})
}
