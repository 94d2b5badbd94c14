package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// An opening is what a transaction of PostgreSQL has yet to tell the server. It travels with a
// statement where the driver accepts several at once, and otherwise by itself.
type opening struct {
	// begin is the BEGIN that database/sql was not asked for. own is the connection that waits
	// for it, and restart begins the usual way.
	begin   string
	own     *lateTx
	restart func(context.Context) (*tx, error)
	// each comes before each statement without arguments, which then is a transaction of its own.
	each string
	// lazy means that the server needn't wait for its disk at the commit. A crash of the server
	// may undo the transaction, and nothing that was committed before.
	lazy bool
	// more is another statement to run.
	more string
	// planAnew makes the server plan each statement with arguments for the current table. Otherwise
	// it may keep a plan for a prepared statement from when the table was small; such a plan read a
	// backlog of 2,000 rows a thousand times when measured.
	planAnew bool
}

const (
	beginClaim = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
	beginRead  = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"
	eachRead   = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
	lazyCommit = "SET LOCAL synchronous_commit TO off"
)

// beginLate begins a transaction as [begin] does, but together with its first statement if the
// driver allows it.
func beginLate(ctx context.Context, drv dialect.Driver, readOnly bool) (*tx, error) {
	own, err := openLate(ctx, drv)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("begin: %w", context.Cause(ctx))
	case err != nil:
		return nil, fmt.Errorf("begin: %w", err)
	case own == nil:
		return begin(ctx, drv, readOnly)
	}
	t := newTx(drv, sql.Conn{ExecQuerier: own.conn}, own)
	t.own, t.begin = own, beginClaim
	if readOnly {
		t.begin, t.each = beginRead, eachRead
	}
	t.restart = func(ctx context.Context) (*tx, error) { return begin(ctx, drv, readOnly) }
	return t, nil
}

// run runs a statement, and before it what is still to be told.
func (t *tx) run(ctx context.Context, query string, args any, do func(query string) error) error {
	once := func() error {
		query, err := t.tell(ctx, query, args)
		if err != nil {
			return err
		}
		return do(query)
	}
	restart, lazy, more := t.restart, t.lazy, t.more
	t.restart = nil
	err := once()
	if err == nil || restart == nil || !errors.Is(err, driver.ErrBadConn) && !isStandby(err) {
		return err
	}
	// As database/sql does: a connection of the pool may have been closed meanwhile. And of a
	// server that accepts no writes its BEGIN tells.
	_ = t.inner.Rollback()
	again, err := restart(ctx)
	if err != nil {
		return err
	}
	again.lazy, again.more, again.server, again.settle = lazy, more, t.server, t.settle
	*t = *again
	return once()
}

// tell tells the server what comes before a statement, or returns it joined with the statement.
func (t *tx) tell(ctx context.Context, query string, args any) (string, error) {
	list, _ := args.([]any)
	alone := len(list) == 0
	if alone && t.each != "" {
		return t.each + "; " + query, nil
	}
	t.each = ""
	var before []string
	if t.begin != "" {
		before = append(before, t.begin)
		t.begin, t.own.begun = "", true
	}
	switch {
	case t.several:
		if t.lazy {
			before = append(before, lazyCommit)
			t.lazy = false
		}
		if t.more != "" {
			before = append(before, t.more)
			t.more = ""
		}
		if t.planAnew && !alone {
			before = append(before, setConfig(false, true))
			t.planAnew = false
		}
	case !alone && (t.lazy || t.planAnew):
		before = append(before, setConfig(t.lazy, t.planAnew))
		t.lazy, t.planAnew = false, false
	}
	if len(before) == 0 {
		return query, nil
	}
	text := strings.Join(before, "; ")
	if alone && t.several {
		return text + "; " + query, nil
	}
	return query, t.ExecQuerier.Exec(ctx, text, []any{}, nil)
}

// tellLater runs a statement without arguments or a result, together with the next one if the driver
// allows it.
func (t *tx) tellLater(ctx context.Context, statement string) error {
	if !t.several {
		return t.exec(ctx, statement)
	}
	t.more = statement
	return nil
}

// setConfig sets what is asked for in one statement. Servers older than 12 don't have
// plan_cache_mode.
func setConfig(lazy, planAnew bool) string {
	var values []string
	if lazy {
		values = append(values, "('synchronous_commit', 'off')")
	}
	if planAnew {
		values = append(values, "('plan_cache_mode', 'force_custom_plan')")
	}
	return "SELECT set_config(name, value, true) FROM (VALUES " + strings.Join(values, ", ") + ") AS s (name, value) WHERE current_setting(name, true) IS NOT NULL"
}
