package bank_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/bank/ent"
)

var errBusiness = errors.New("not enough money")

// quick makes the tries of a test follow at once.
var quick = entsignal.Backoff(0, 0)

func TestAtomicCommitsWhatItsFunctionDid(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			if err := tx.Account.Create().SetOwner("ann").Exec(ctx); err != nil {
				return err
			}
			return tx.MoneyMoved.Create().SetNumber(1).Exec(ctx)
		})
		require.NoError(t, err)
		assert.Equal(t, 1, b.Account.Query().CountX(ctx(t)))
		assert.Equal(t, []int{1}, b.moved.Keys(), "sent at the commit")
	})
}

func TestAtomicRollsBackOnAnError(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		tries := 0
		err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			tries++
			tx.Account.Create().SetOwner("ann").ExecX(ctx)
			tx.MoneyMoved.Create().SetNumber(1).ExecX(ctx)
			return errBusiness
		})
		assert.Equal(t, errBusiness, err)
		assert.Equal(t, 1, tries)
		assert.Zero(t, b.Account.Query().CountX(ctx(t)))
		assert.Empty(t, b.moved.Keys())
	})
}

func TestAtomicRollsBackOnAPanicAndLetsItPass(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		assert.PanicsWithValue(t, "boom", func() {
			_ = b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
				tx.Account.Create().SetOwner("ann").ExecX(ctx)
				panic("boom")
			})
		})
		assert.Zero(t, b.Account.Query().CountX(ctx(t)))
	})
}

func TestAtomicRollsBackWhenItsGoroutineEnds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
				tx.Account.Create().SetOwner("ann").ExecX(ctx)
				runtime.Goexit()
				return nil
			})
		}()
		<-ended
		assert.Zero(t, b.Account.Query().CountX(ctx(t)))
	})
}

func TestAtomicRunsAgainAfterErrSerialization(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		tries := 0
		err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			tries++
			tx.MoneyMoved.Create().SetNumber(tries).ExecX(ctx)
			if tries < 3 {
				return fmt.Errorf("stale: %w", entsignal.ErrSerialization)
			}
			return nil
		}, quick)
		require.NoError(t, err)
		assert.Equal(t, []int{3}, b.moved.Keys(), "the signals of the lost tries are forgotten")
		assert.Equal(t, 0, b.MoneyMoved.Query().CountX(ctx(t)))
	})
}

func TestAtomicGivesUpAfterItsRetries(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		for _, c := range []struct {
			opts  []entsignal.AtomicOption
			tries int
		}{
			{nil, 9},
			{[]entsignal.AtomicOption{entsignal.Retries(2)}, 3},
			{[]entsignal.AtomicOption{entsignal.Retries(0)}, 1},
		} {
			tries := 0
			stale := fmt.Errorf("stale: %w", entsignal.ErrSerialization)
			err := b.Atomic(ctx(t), func(context.Context, *ent.Tx) error {
				tries++
				return stale
			}, append(c.opts, quick)...)
			assert.Equal(t, stale, err)
			assert.Equal(t, c.tries, tries)
		}
	})
}

func TestConstraintErrorRunsAgainWhenItIsAskedTo(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		b.account(t, "ann")
		open := func(retry func(error) error) (tries int, err error) {
			err = b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
				tries++
				return retry(tx.Account.Create().SetOwner("ann").Exec(ctx))
			}, quick)
			return tries, err
		}

		tries, err := open(func(err error) error { return err })
		assert.Equal(t, 1, tries)
		assert.True(t, ent.IsConstraintError(err), err)

		tries, err = open(entsignal.RetryOnConstraint)
		assert.Equal(t, 9, tries)
		assert.True(t, ent.IsConstraintError(err), err)
		assert.NotErrorIs(t, err, entsignal.ErrSerialization, "the original error comes back")

		// Another transaction had the name for a while.
		tries = 0
		err = b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			owner := "ann"
			if tries++; tries == 2 {
				owner = "bob"
			}
			return entsignal.RetryOnConstraint(tx.Account.Create().SetOwner(owner).Exec(ctx))
		}, quick)
		require.NoError(t, err)
		assert.Equal(t, 2, tries)
	})
}

func TestAtomicStopsWhenItsContextEndsBetweenTries(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		c, cancel := context.WithCancel(ctx(t))
		tries := 0
		err := b.Atomic(c, func(context.Context, *ent.Tx) error {
			tries++
			time.AfterFunc(10*time.Millisecond, cancel)
			return entsignal.ErrSerialization
		}, entsignal.Backoff(time.Hour, time.Hour))
		assert.ErrorIs(t, err, context.Canceled)
		assert.ErrorIs(t, err, entsignal.ErrSerialization)
		assert.Equal(t, 1, tries)
	})
}

func TestAtomicCommitsNothingWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		tries := 0
		for name, end := range map[string]func(context.Context, *ent.Tx) error{
			"before a statement": func(ctx context.Context, tx *ent.Tx) error {
				return tx.Account.Create().SetOwner("bob").Exec(ctx)
			},
			"before the commit": func(context.Context, *ent.Tx) error { return nil },
		} {
			c, cancel := context.WithCancel(ctx(t))
			err := b.Atomic(c, func(ctx context.Context, tx *ent.Tx) error {
				tries++
				tx.Account.Create().SetOwner("ann").ExecX(ctx)
				tx.MoneyMoved.Create().SetNumber(1).ExecX(ctx)
				cancel()
				return end(ctx, tx)
			})
			assert.ErrorIs(t, err, context.Canceled, name)
		}
		assert.Equal(t, 2, tries, "none runs again")
		assert.ErrorIs(t, b.Atomic(canceled(), func(context.Context, *ent.Tx) error { panic("not reached") }), context.Canceled)
		assert.Zero(t, b.Account.Query().CountX(ctx(t)))
		assert.Empty(t, b.moved.Keys())
	})
}

func canceled() context.Context {
	c, cancel := context.WithCancel(context.Background())
	cancel()
	return c
}

func TestFunctionOfAtomicCantCommit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			tx.Account.Create().SetOwner("ann").ExecX(ctx)
			if err := tx.Commit(); err != nil {
				return err
			}
			return errBusiness
		})
		assert.ErrorContains(t, err, "Atomic commits the transaction")
		assert.Zero(t, b.Account.Query().CountX(ctx(t)))
	})
}

func TestFunctionThatRolledBackIsToldSoAtTheCommit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			tx.Account.Create().SetOwner("ann").ExecX(ctx)
			return tx.Rollback()
		})
		assert.ErrorContains(t, err, "commit")
		assert.Zero(t, b.Account.Query().CountX(ctx(t)))
	})
}

func TestCommitHookThatFailsAfterTheCommitDoesNotRunTheFunctionAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		tries := 0
		err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			tries++
			tx.OnCommit(func(next ent.Committer) ent.Committer {
				return ent.CommitFunc(func(ctx context.Context, tx *ent.Tx) error {
					if err := next.Commit(ctx, tx); err != nil {
						return err
					}
					return entsignal.ErrSerialization // of something else that the hook did
				})
			})
			return tx.Account.Create().SetOwner("ann").Exec(ctx)
		}, quick)
		assert.ErrorContains(t, err, "the transaction is committed")
		assert.Equal(t, 1, tries)
		assert.Equal(t, 1, b.Account.Query().CountX(ctx(t)))
	})
}

func TestBadAtomicOptionsAreRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		for text, opt := range map[string]entsignal.AtomicOption{
			"entsignal: Retries: -1; expected 0 or more":                             entsignal.Retries(-1),
			"entsignal: Backoff: -1ns to 0s; expected 0 or more, the shortest first": entsignal.Backoff(-1, 0),
			"entsignal: Backoff: 1s to 1ms; expected 0 or more, the shortest first":  entsignal.Backoff(time.Second, time.Millisecond),
			"entsignal: a nil AtomicOption":                                          nil,
		} {
			err := b.Atomic(ctx(t), func(context.Context, *ent.Tx) error { panic("not reached") }, opt)
			assert.EqualError(t, err, text)
		}
	})
}

func TestReadOnlyTransactionWritesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		b.account(t, "ann")
		n, err := ent.InTx(ctx(t), b.Client, func(ctx context.Context, tx *ent.Tx) (int, error) {
			return tx.Account.Query().Count(ctx)
		}, entsignal.ReadOnly())
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		if b.isSQLite() {
			return
		}
		err = b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			return tx.Account.Create().SetOwner("bob").Exec(ctx)
		}, entsignal.ReadOnly())
		assert.Regexp(t, "(?i)read.only", err)
	})
}
