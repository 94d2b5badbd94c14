package bank_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/sqlgraph"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/bank/ent"
	"github.com/entsignal/signalbus/integration/bank/ent/account"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

var servers = []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}

// lockingRead returns a SELECT that locks two accounts, the one after the
// other.
func (b *bank) lockingRead(one, two int) string {
	return fmt.Sprintf("SELECT owner FROM accounts WHERE id IN (%d, %d) ORDER BY id FOR UPDATE", one, two)
}

// doors are the ways in which rows that lock accounts are read in a
// transaction. They return what the program is told.
var doors = map[string]func(ctx context.Context, b *bank, tx *ent.Tx, one, two int) error{
	"a builder": func(ctx context.Context, _ *bank, tx *ent.Tx, one, two int) error {
		return lockBoth(ctx, tx.Client(), one, two)
	},
	"a builder of a debug client": func(ctx context.Context, _ *bank, tx *ent.Tx, one, two int) error {
		return lockBoth(ctx, tx.Client().Debug(), one, two)
	},
	"rows that are read": func(ctx context.Context, b *bank, tx *ent.Tx, one, two int) error {
		rows, err := tx.QueryContext(ctx, b.lockingRead(one, two))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var owner string
			if err := rows.Scan(&owner); err != nil {
				return err
			}
		}
		return rows.Err()
	},
	"rows that are closed": func(ctx context.Context, b *bank, tx *ent.Tx, one, two int) error {
		rows, err := tx.Client().Debug().QueryContext(ctx, b.lockingRead(one, two))
		if err != nil {
			return err
		}
		return rows.Close()
	},
	"rows that are half read": func(ctx context.Context, b *bank, tx *ent.Tx, one, two int) error {
		rows, err := tx.QueryContext(ctx, b.lockingRead(one, two))
		if err != nil {
			return err
		}
		rows.Next()
		rows.Close()
		return nil
	},
}

func lockBoth(ctx context.Context, c *ent.Client, one, two int) error {
	_, err := c.Account.Query().Where(account.IDIn(one, two), func(s *entsql.Selector) { s.ForUpdate() }).Order(account.ByID()).All(ctx)
	return err
}

// conflictAtTheSecondRow makes read, which locks the account ann and then bob,
// fail at bob: on MariaDB by a deadlock, elsewhere by a change that the
// transaction must not see.
func (b *bank) conflictAtTheSecondRow(ctx context.Context, t *testing.T, tx *ent.Tx, ann, bob int, read func() error) error {
	t.Helper()
	if b.db.Dialect != dialect.MySQL {
		tx.Account.UpdateOneID(ann).AddBalance(1).ExecX(ctx)
		_, err := b.pool(t).ExecContext(ctx, "UPDATE accounts SET balance = balance + 10 WHERE id = $1", bob)
		require.NoError(t, err)
		return read()
	}
	// The other one changes more rows, so the server chooses ours.
	other, err := b.pool(t).BeginTx(ctx, nil)
	require.NoError(t, err)
	defer other.Rollback()
	for i := range 20 {
		_, err = other.ExecContext(ctx, "INSERT INTO accounts (owner, balance) VALUES (?, 0)", fmt.Sprint("filler ", i))
		require.NoError(t, err)
	}
	_, err = other.ExecContext(ctx, "UPDATE accounts SET balance = balance + 10 WHERE id = ?", bob)
	require.NoError(t, err)
	tx.Account.UpdateOneID(ann).AddBalance(1).ExecX(ctx)
	waits := make(chan error, 1)
	go func() {
		_, err := other.ExecContext(ctx, "UPDATE accounts SET balance = balance + 10 WHERE id = ?", ann)
		waits <- err
	}()
	err = read()
	require.NoError(t, <-waits)
	require.NoError(t, other.Commit())
	return err
}

func TestConflictOfARowCantBeSwallowed(t *testing.T) {
	t.Parallel()
	for name, read := range doors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.On(t, servers, func(t *testing.T, db *testdb.DB) {
				b := open(t, db)
				ann, bob := b.account(t, "ann").ID, b.account(t, "bob").ID
				tries := 0
				err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
					if tries++; tries == 1 {
						err := b.conflictAtTheSecondRow(ctx, t, tx, ann, bob, func() error { return read(ctx, b, tx, ann, bob) })
						t.Logf("told: %v", err)
						assert.Error(t, tx.Entry.Create().SetAmount(tries).Exec(ctx))
						assert.Error(t, tx.MoneyMoved.Create().SetNumber(tries).Exec(ctx))
						_, err = tx.ExecContext(ctx, "INSERT INTO entries (amount) VALUES (7)")
						assert.Error(t, err)
						return nil
					}
					tx.Entry.Create().SetAmount(tries).ExecX(ctx)
					return tx.MoneyMoved.Create().SetNumber(tries).Exec(ctx)
				}, quick)
				require.NoError(t, err)
				assert.Equal(t, 2, tries, "the try that is lost is run again")
				assert.Equal(t, 2, b.Entry.Query().OnlyX(ctx(t)).Amount)
				assert.Equal(t, []int{2}, b.moved.Keys())
			})
		})
	}
}

func TestConflictInRowsThatNobodyHasReadFailsTheCommit(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		b := open(t, db)
		ann, bob := b.account(t, "ann").ID, b.account(t, "bob").ID
		tries := 0
		err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			tx.MoneyMoved.Create().SetNumber(1).ExecX(ctx)
			if tries++; tries > 1 {
				return nil
			}
			return b.conflictAtTheSecondRow(ctx, t, tx, ann, bob, func() error {
				_, err := tx.QueryContext(ctx, b.lockingRead(ann, bob)) //nolint:sqlclosecheck,rowserrcheck // as careless code does
				return err
			})
		}, quick)
		require.NoError(t, err)
		assert.Equal(t, 2, tries)
		assert.Equal(t, []int{1}, b.moved.Keys())
		assert.Zero(t, b.MoneyMoved.Query().CountX(ctx(t)))
	})
}

// rollsBack are the statements by which a server rolls the transaction back
// for another reason than a conflict.
func (b *bank) rollsBack(t *testing.T) func(context.Context, *ent.Tx) error {
	t.Helper()
	if b.isSQLite() {
		return func(ctx context.Context, tx *ent.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT OR ROLLBACK INTO accounts (owner, balance) VALUES ('ann', 0)")
			return err
		}
	}
	_, err := b.pool(t).ExecContext(ctx(t), `CREATE PROCEDURE open_account() BEGIN
		DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
		INSERT INTO accounts (owner, balance) VALUES ('ann', 0);
	END`)
	require.NoError(t, err)
	return func(ctx context.Context, tx *ent.Tx) error {
		_, err := tx.ExecContext(ctx, "CALL open_account()")
		return err
	}
}

func TestNothingIsCommittedAfterTheDatabaseHasRolledBack(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.MariaDB, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		b := open(t, db)
		b.account(t, "ann")
		rollBack := b.rollsBack(t)
		for name, goOn := range map[string]func(context.Context, *ent.Tx){
			"at once": func(context.Context, *ent.Tx) {},
			"by a statement": func(ctx context.Context, tx *ent.Tx) {
				assert.ErrorContains(t, tx.Entry.Create().SetAmount(1).Exec(ctx), "the database rolled it back")
				assert.Error(t, tx.MoneyMoved.Create().SetNumber(1).Exec(ctx))
				assert.Error(t, tx.Entry.Create().SetAmount(1).Exec(ctx))
			},
		} {
			tries := 0
			err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
				tries++
				tx.MoneyMoved.Create().SetNumber(1).ExecX(ctx)
				assert.Error(t, rollBack(ctx, tx))
				goOn(ctx, tx)
				return nil
			})
			assert.ErrorContains(t, err, "entsignal: commit: the database rolled it back after a statement failed: ", name)
			assert.True(t, sqlgraph.IsConstraintError(err), err)
			assert.Equal(t, 1, tries)
		}
		assert.Zero(t, b.Entry.Query().CountX(ctx(t)))
		assert.Zero(t, b.MoneyMoved.Query().CountX(ctx(t)))
		assert.Empty(t, b.moved.Keys())
	})
}

// With innodb_rollback_on_timeout the server rolls back the transaction, else
// only the statement.
func TestLockWaitThatTimesOutIsCommittedWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		db.DSN += "&innodb_lock_wait_timeout=1"
		b := open(t, db)
		ann := b.account(t, "ann").ID
		var all bool
		require.NoError(t, b.pool(t).QueryRow("SELECT @@innodb_rollback_on_timeout").Scan(&all))
		other, err := b.pool(t).BeginTx(ctx(t), nil)
		require.NoError(t, err)
		defer other.Rollback()
		_, err = other.Exec("UPDATE accounts SET balance = balance + 10 WHERE id = ?", ann)
		require.NoError(t, err)
		err = b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			tx.Entry.Create().SetAmount(1).ExecX(ctx)
			assert.ErrorContains(t, tx.Account.UpdateOneID(ann).AddBalance(1).Exec(ctx), "1205")
			_ = tx.Entry.Create().SetAmount(2).Exec(ctx)
			return nil
		})
		n := b.Entry.Query().CountX(ctx(t))
		if all {
			assert.ErrorContains(t, err, "the database rolled it back")
			assert.Zero(t, n)
		} else {
			assert.NoError(t, err)
			assert.Equal(t, 2, n)
		}
	})
}

func TestKilledStatementIsCommittedWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		b := open(t, db)
		for kill, whole := range map[string]bool{"KILL QUERY %d": true, "KILL CONNECTION %d": false} {
			err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
				tx.Entry.Create().SetAmount(1).ExecX(ctx)
				var id int
				rows, err := tx.QueryContext(ctx, "SELECT CONNECTION_ID()")
				require.NoError(t, err)
				require.True(t, rows.Next())
				require.NoError(t, rows.Scan(&id))
				require.NoError(t, rows.Close())
				killed := make(chan error, 1)
				go func() { killed <- b.killWhenItRuns(ctx, id, fmt.Sprintf(kill, id)) }()
				_, err = tx.ExecContext(ctx, "UPDATE entries SET amount = SLEEP(60)")
				assert.Error(t, err)
				require.NoError(t, <-killed)
				_ = tx.Entry.Create().SetAmount(2).Exec(ctx)
				return nil
			})
			n := b.Entry.Delete().ExecX(ctx(t))
			if whole {
				assert.NoError(t, err)
				assert.Equal(t, 2, n)
			} else {
				assert.Error(t, err)
				assert.Zero(t, n)
			}
		}
	})
}

// killWhenItRuns kills the statement of a session once it sleeps.
func (b *bank) killWhenItRuns(ctx context.Context, id int, kill string) error {
	pool, err := sql.Open("mysql", b.db.DSN)
	if err != nil {
		return err
	}
	defer pool.Close()
	for {
		var sleeps int
		if err := pool.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.processlist WHERE id = ? AND state = 'User sleep'", id).Scan(&sleeps); err != nil {
			return err
		}
		if sleeps > 0 {
			_, err := pool.ExecContext(ctx, kill)
			return err
		}
	}
}

func TestTryThatIsLostToAContextOfItsOwnRunsAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		tries := 0
		err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			tries++
			tx.Entry.Create().SetAmount(tries).ExecX(ctx)
			tx.MoneyMoved.Create().SetNumber(tries).ExecX(ctx)
			if tries == 1 {
				short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
				defer cancel()
				_, err := tx.ExecContext(short, b.slowWrite())
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				t.Logf("told: %v", err)
				t.Logf("after it: %v", tx.Entry.Create().SetAmount(10).Exec(ctx))
			}
			return nil
		}, quick)
		require.NoError(t, err)
		assert.Equal(t, 2, tries)
		assert.Equal(t, 2, b.Entry.Query().OnlyX(ctx(t)).Amount)
		assert.Equal(t, []int{2}, b.moved.Keys())
	})
}

// slowWrite is a statement that writes for longer than anybody waits.
func (b *bank) slowWrite() string {
	switch b.db.Dialect {
	case dialect.Postgres:
		return "INSERT INTO entries (amount) SELECT 5 FROM pg_sleep(60)"
	case dialect.MySQL:
		return "INSERT INTO entries (amount) SELECT 5 + SLEEP(60)"
	default:
		return "INSERT INTO entries (amount) WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
	}
}

func TestCommitHookThatDoesNotCommitIsAnError(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		tries := 0
		err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			tries++
			tx.OnCommit(func(next ent.Committer) ent.Committer {
				return ent.CommitFunc(func(context.Context, *ent.Tx) error { return nil })
			})
			return tx.Entry.Create().SetAmount(1).Exec(ctx)
		})
		assert.EqualError(t, err, "entsignal: commit: a commit hook returned nil without calling the next one")
		assert.Equal(t, 1, tries)
		assert.Zero(t, b.Entry.Query().CountX(ctx(t)))
	})
}

func TestCommitWhoseConflictAHookSwallowsRunsAgain(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX}, func(t *testing.T, db *testdb.DB) {
		b := open(t, db)
		tries := 0
		err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			tries++
			tx.OnCommit(func(next ent.Committer) ent.Committer {
				return ent.CommitFunc(func(ctx context.Context, tx *ent.Tx) error {
					_ = next.Commit(ctx, tx)
					return nil
				})
			})
			var other *skew
			if tries == 1 {
				other = b.skew(t)
			}
			tx.Account.Create().SetOwner(fmt.Sprint("account ", tx.Account.Query().CountX(ctx))).ExecX(ctx)
			if tries == 1 {
				other.commit()
			}
			return nil
		}, entsignal.Isolation(sql.LevelSerializable), quick)
		require.NoError(t, err)
		assert.Equal(t, 2, tries)
		assert.Equal(t, 2, b.Account.Query().CountX(ctx(t)))
	})
}
