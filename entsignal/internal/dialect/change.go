package dialect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// A Change sets columns of rows that stay.
type Change struct {
	IDs []any
	Set []Value
	// If restricts it to the rows in which a column has this value.
	If *Value
}

// Value is a column and what is in it; nil is NULL.
type Value struct {
	Column string
	Value  any
}

// NotNotedError is part of the error of a claim when the failures of rows that
// stay could not be noted in them. It says nothing about what was sent.
type NotNotedError struct{ err error }

func (e *NotNotedError) Error() string {
	return fmt.Sprintf("the failed attempts were not noted: %v", e.err)
}

// Unwrap returns the cause.
func (e *NotNotedError) Unwrap() error { return e.err }

// joined returns sendErr together with err, if there is one.
func joined(sendErr, err error) error {
	if err == nil {
		return sendErr
	}
	return errors.Join(sendErr, err)
}

// A Mend changes or deletes rows outside of any claim, for somebody who asks
// for it.
type Mend struct {
	Driver dialect.Driver
	Table  Table
	// Pick returns the ids of the rows. It reads through drv, and applies lock
	// to its query.
	Pick func(ctx context.Context, drv dialect.Driver, lock func(*sql.Selector)) ([]any, error)
	// Set is what to change in them; nil deletes them.
	Set []Value
}

// update returns the statement of a change. hint comes after the table's name.
func (c Change) update(dialectName string, table Table, hint string) (string, []any) {
	b := &sql.Builder{}
	b.SetDialect(dialectName)
	b.WriteString("UPDATE ")
	if table.Schema != "" {
		b.Ident(table.Schema).WriteByte('.')
	}
	b.Ident(table.Name).WriteString(hint + " SET ")
	for i, v := range c.Set {
		if i > 0 {
			b.Comma()
		}
		b.Ident(v.Column).WriteString(" = ")
		switch value := v.Value.(type) {
		case nil:
			b.WriteString("NULL")
		case time.Time:
			b.Arg(timeArg(dialectName, value))
		default:
			b.Arg(value)
		}
	}
	b.WriteString(" WHERE ").Join(sql.In(table.IDColumn, c.IDs...))
	if c.If != nil {
		b.WriteString(" AND ").Join(sql.EQ(c.If.Column, c.If.Value))
	}
	return b.Query()
}

// errNoTime is the error of changes for which the time was too short.
var errNoTime = errors.New("no time left")

// note makes the changes, whose rows the transaction has locked. It begins
// none after until: what comes next, the end of the transaction, is worth more.
func (l *locking) note(ctx context.Context, t *tx, table Table, changes []Change, until time.Time) error {
	for _, c := range changes {
		if time.Now().After(until) {
			return errNoTime
		}
		if _, err := l.change(ctx, t, table, c); err != nil {
			return err
		}
	}
	return nil
}

// change makes one change, and returns how many rows it is about.
func (l *locking) change(ctx context.Context, t *tx, table Table, c Change) (int, error) {
	statement, args := c.update(t.name, table, l.hint)
	return execCount(ctx, t, statement, args)
}

// noteAlone makes the change of a single row in a transaction of its own. It
// does nothing if another flush has locked the row by now: that one notes what
// comes of it.
func (l *locking) noteAlone(ctx context.Context, c Claim, change Change) error {
	t, err := l.begin(ctx, c.Driver, c.Settle)
	if err != nil {
		return err
	}
	defer t.end()
	table := c.Batch.Table()
	mine, err := t.locks(ctx, table, change.IDs[0])
	if err != nil || !mine {
		return err
	}
	if _, err := l.change(ctx, t, table, change); err != nil {
		return err
	}
	return t.commit(ctx)
}

// locks locks a row. It reports false if the row is gone or another
// transaction holds it.
func (t *tx) locks(ctx context.Context, table Table, id any) (bool, error) {
	b := sql.Dialect(t.name)
	s := b.Select(table.IDColumn).From(b.Table(table.Name).Schema(table.Schema)).Where(sql.EQ(table.IDColumn, id))
	skipLocked(s)
	query, args := s.Query()
	var rows sql.Rows
	if err := t.Query(ctx, query, args, &rows); err != nil {
		return false, err
	}
	defer rows.Close()
	found := rows.Next()
	return found, errors.Join(rows.Err(), rows.Close())
}

// Mend implements [Dialect].
func (l *locking) Mend(ctx context.Context, m Mend) ([]any, error) {
	t, err := l.begin(ctx, m.Driver, 0)
	if err != nil {
		return nil, err
	}
	defer t.end()
	ids, err := m.Pick(ctx, t, waitForLocked)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	if m.Set == nil {
		statement, args := l.remove(t, m.Table, ids)
		_, err = execCount(ctx, t, statement, args)
	} else {
		_, err = l.change(ctx, t, m.Table, Change{IDs: ids, Set: m.Set})
	}
	if err != nil {
		return nil, err
	}
	if err := t.commit(ctx); err != nil {
		return nil, err
	}
	return ids, nil
}
