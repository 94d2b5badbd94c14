package database

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// Value is a column and its value; nil means NULL.
type Value struct {
	Column string
	Value  any
}

// NotNotedError is part of the error of a claim if the failures of rows that stay
// could not be recorded in them. It says nothing about what was sent.
type NotNotedError struct{ err error }

// IsNotNoted reports whether a [NotNotedError] is part of err.
func IsNotNoted(err error) bool { return errors.As(err, new(*NotNotedError)) }

// NotNoted returns the error of changes that failed with err.
func NotNoted(err error) error { return &NotNotedError{err} }

func (e *NotNotedError) Error() string {
	return fmt.Sprintf("the failed attempts could not be recorded: %v", e.err)
}

// Unwrap returns the cause.
func (e *NotNotedError) Unwrap() error { return e.err }

// joined returns sendErr joined with err, if there is one.
func joined(sendErr, err error) error {
	if err == nil {
		return sendErr
	}
	return errors.Join(sendErr, err)
}

// A Note is what to write into rows that stayed after a claim.
type Note struct {
	Driver  dialect.Driver
	Table   Table
	Changes []Change
	Settle  time.Duration // bounds the statements that end the transaction
}

// A Repair changes or deletes rows outside any claim, at the request of an
// operator.
type Repair struct {
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
	writeTable(b, table.Schema, table.Name)
	b.WriteString(hint + " SET ")
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

// errNoTime is the error of changes for which there was no time left.
var errNoTime = errors.New("no time left")

// savepoint is set by each transaction that may have to undo a part of it.
const savepoint = "SAVEPOINT entsignal"

// note makes the changes. The transaction has locked their rows. Before it tries
// another form of the texts, it rolls back to the savepoint. It begins no change
// after until, because the end of the transaction is more important.
func (l *locking) note(ctx context.Context, t *tx, table Table, changes []Change, until time.Time) error {
	dirty := false
	return inSomeForm(changes, func(changes []Change) error {
		if dirty {
			if err := t.exec(ctx, "ROLLBACK TO "+savepoint); err != nil {
				return err
			}
		}
		dirty = true
		for _, c := range changes {
			if time.Now().After(until) {
				return errNoTime
			}
			if _, err := l.change(ctx, t, table, c); err != nil {
				return err
			}
		}
		return nil
	})
}

// change makes one change, and returns how many rows it affected.
func (l *locking) change(ctx context.Context, t *tx, table Table, c Change) (int, error) {
	statement, args := c.update(t.name, table, l.hint)
	return execCount(ctx, t, statement, args)
}

// Note implements [Dialect].
func (l *locking) Note(ctx context.Context, n Note) error {
	t, err := l.begin(ctx, n.Driver, n.Settle)
	if err != nil {
		return err
	}
	defer t.end()
	var changes []Change
	for _, c := range n.Changes {
		if c.IDs, err = t.lockFree(ctx, n.Table, c.IDs); err != nil {
			return err
		}
		if len(c.IDs) > 0 {
			changes = append(changes, c)
		}
	}
	if len(changes) == 0 {
		return nil
	}
	if err := t.exec(ctx, savepoint); err != nil {
		return err
	}
	if err := l.note(ctx, t, n.Table, changes, time.Now().Add(n.Settle/2)); err != nil {
		return err
	}
	return t.commit(ctx)
}

// lockFree locks those of the rows that no other transaction holds, and returns
// their ids.
func (t *tx) lockFree(ctx context.Context, table Table, ids []any) ([]any, error) {
	b := sql.Dialect(t.name)
	s := b.Select(table.IDColumn).From(b.Table(table.Name).Schema(table.Schema)).
		Where(In(t, table.IDColumn, table.Counted, ids)).OrderBy(table.IDColumn).Limit(len(ids))
	skipLocked(s)
	text, args := s.Query()
	found := 0
	if err := query(ctx, t, text, args, func(*sql.Rows) error { found++; return nil }); err != nil {
		return nil, err
	}
	switch {
	case found == len(ids):
		return ids, nil
	case found == 0:
		return nil, nil
	}
	half := len(ids) / 2
	one, err := t.lockFree(ctx, table, ids[:half])
	if err != nil {
		return nil, err
	}
	other, err := t.lockFree(ctx, table, ids[half:])
	return append(slices.Clip(one), other...), err
}

// Repair implements [Dialect].
func (l *locking) Repair(ctx context.Context, m Repair) ([]any, error) {
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
