package database

import (
	"context"
	stdsql "database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/internal/entdriver"
)

// tx is a transaction that ent's query builders can use as a driver.
type tx struct {
	dialect.ExecQuerier
	inner driver.Tx
	name  string
	driverTraits
	server  serverTraits
	opening // what is to run before, or together with, other statements
	cancel  context.CancelFunc
	settle  time.Duration
	release func(context.Context) error // releases the lock of the order, if the session holds it
}

// errStandby is part of the error of a transaction that can't write.
var errStandby = errors.New("the server takes no writes")

// begin starts a READ COMMITTED transaction, whatever the pool's default is. On
// higher levels, flushes that skip locked rows were seen to abort after they had
// sent them. ctx limits only the start; the transaction lives until end.
func begin(ctx context.Context, drv dialect.Driver, readOnly bool) (*tx, error) {
	beginner, err := entdriver.Begins(drv)
	if err != nil {
		return nil, err
	}
	// database/sql rolls back when the context of BeginTx ends. The end of ctx must not undo a
	// deletion whose messages are out.
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	t, err := beginner.BeginTx(life, &stdsql.TxOptions{Isolation: stdsql.LevelReadCommitted, ReadOnly: readOnly})
	if !stop() && err == nil {
		_ = t.Rollback()
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel()
		if cause := context.Cause(ctx); cause != nil {
			err = cause // database/sql knows only that life was cancelled
		} else if isStandby(err) {
			err = fmt.Errorf("%w: %w", errStandby, err)
		}
		return nil, fmt.Errorf("begin: %w", err)
	}
	begun := newTx(drv, t, t)
	begun.cancel = cancel
	return begun, nil
}

func newTx(drv dialect.Driver, on dialect.ExecQuerier, inner driver.Tx) *tx {
	t := &tx{ExecQuerier: on, inner: inner, name: drv.Dialect(), driverTraits: driverTraitsOf(drv), cancel: func() {}}
	t.planAnew = t.name == dialect.Postgres && !t.forgets
	return t
}

// Query implements [dialect.ExecQuerier].
func (t *tx) Query(ctx context.Context, query string, args, v any) error {
	return t.run(ctx, query, args, func(query string) error { return t.ExecQuerier.Query(ctx, query, args, v) })
}

// Exec implements [dialect.ExecQuerier].
func (t *tx) Exec(ctx context.Context, query string, args, v any) error {
	return t.run(ctx, query, args, func(query string) error { return t.ExecQuerier.Exec(ctx, query, args, v) })
}

// commit releases the lock of the order and commits.
func (t *tx) commit(ctx context.Context) error {
	if err := t.unlock(ctx); err != nil {
		return err
	}
	return t.inner.Commit()
}

// end releases the transaction: it rolls back unless it was committed.
func (t *tx) end() {
	if t.release != nil {
		ctx, cancel := context.WithTimeout(context.Background(), t.settle)
		defer cancel()
		_ = t.unlock(ctx)
	}
	_ = t.inner.Rollback()
	t.cancel()
}

func (t *tx) unlock(ctx context.Context) error {
	if t.release == nil {
		return nil
	}
	release := t.release
	t.release = nil
	return release(ctx)
}

func (t *tx) exec(ctx context.Context, statement string) error {
	return t.Exec(ctx, statement, []any{}, nil)
}

// execCount runs a statement and returns how many rows it affected.
func execCount(ctx context.Context, db dialect.ExecQuerier, statement string, args []any) (int, error) {
	var result stdsql.Result
	if err := db.Exec(ctx, statement, args, &result); err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// ask runs a query that returns one value, true or false.
func (t *tx) ask(ctx context.Context, query string, args ...any) (bool, error) {
	var (
		rows   sql.Rows
		answer stdsql.NullBool
	)
	if err := t.Query(ctx, query, args, &rows); err != nil {
		return false, err
	}
	defer rows.Close()
	if !rows.Next() {
		return false, errors.Join(errors.New("no answer"), rows.Err())
	}
	if err := rows.Scan(&answer); err != nil {
		return false, err
	}
	return answer.Bool, errors.Join(rows.Err(), rows.Close())
}

// Tx returns a transaction whose end is a no-op. Builders that ask for a
// transaction then run inside this one.
func (t *tx) Tx(context.Context) (dialect.Tx, error) { return dialect.NopTx(t), nil }

// Dialect returns the name of the database.
func (t *tx) Dialect() string { return t.name }

// Close is a no-op.
func (t *tx) Close() error { return nil }

var _ dialect.Driver = (*tx)(nil)
