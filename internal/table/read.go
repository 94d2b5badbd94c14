package table

import (
	"context"
	stdsql "database/sql"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/foreign"
	"github.com/entsignal/signalbus/internal/retry"
	"github.com/entsignal/signalbus/internal/trace"
)

// These queries read only the columns that they need. So a row that ent can't decode is found,
// counted and discarded like any other.

// scanner reads the columns of one row.
type scanner func(dest ...any) error

// statement selects the columns of the rows that match, and what match selects.
func (s *signal[C, T, ID, Q]) statement(drv dialect.Driver, match func(*sql.Selector), columns []string) (text string, args []any, _ error) {
	t := s.Table()
	b := sql.Dialect(drv.Dialect())
	selector := b.Select().From(b.Table(t.Name).Schema(t.Schema))
	for _, column := range columns {
		selector.AppendSelect(selector.C(column))
	}
	match(selector)
	text, args = selector.Query()
	return text, args, selector.Err()
}

// scan calls each with the columns of each row that matches, followed by what match
// selects.
func (s *signal[C, T, ID, Q]) scan(ctx context.Context, drv dialect.Driver, match func(*sql.Selector), columns []string, each func(scanner) error) error {
	text, args, err := s.statement(drv, match, columns)
	if err != nil {
		return err
	}
	return query(ctx, drv, text, args, each)
}

// query calls each with each row of a query.
func query(ctx context.Context, drv dialect.Driver, text string, args []any, each func(scanner) error) error {
	rows := &sql.Rows{}
	if err := drv.Query(ctx, text, args, rows); err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(func(dest ...any) error { return scanGuarded(rows, dest) }); err != nil {
			return err
		}
	}
	return rows.Err()
}

// scanID reads the id and the columns after it. An id that isn't valid for the type
// is returned as the database has it.
func (s *signal[C, T, ID, Q]) scanID(drv dialect.Driver, scan scanner, more ...any) (any, error) {
	id, err := foreign.Call(func() (ID, error) {
		return s.codec.scan(func(dest any) error { return scan(append([]any{dest}, more...)...) })
	})
	if err == nil {
		if stored, err := s.codec.value(id); err == nil {
			return stored, nil
		}
	}
	var raw any
	err = scan(append([]any{&raw}, more...)...)
	return database.TextOf(drv, raw), err
}

func (s *signal[C, T, ID, Q]) Count(ctx context.Context, drv dialect.Driver, match func(*sql.Selector), most int) (n int, _ error) {
	err := s.count(ctx, drv, match, most, s.model.IDColumn, func(scan scanner) error { return scan(&n) }, "COUNT(*)")
	return n, err
}

func (s *signal[C, T, ID, Q]) CountHeld(ctx context.Context, drv dialect.Driver, at time.Time, most int) (dead, waiting int, _ error) {
	err := s.count(ctx, drv, retry.IsHeld(at), most, retry.FieldFailedAt, func(scan scanner) error { return scan(&dead, &waiting) },
		"COUNT("+retry.FieldFailedAt+"), COUNT(*) - COUNT("+retry.FieldFailedAt+")")
	return dead, waiting, err
}

// count selects counts of the rows that match, at most so many if most isn't 0, of which it
// reads one column.
func (s *signal[C, T, ID, Q]) count(ctx context.Context, drv dialect.Driver, match func(*sql.Selector), most int, column string, each func(scanner) error, counts string) error {
	text, args, err := s.statement(drv, func(s *sql.Selector) {
		match(s)
		if most > 0 {
			s.Limit(most)
		}
	}, []string{column})
	if err != nil {
		return err
	}
	return query(ctx, drv, "SELECT "+counts+" FROM ("+text+") AS entsignal_rows", args, each)
}

func (s *signal[C, T, ID, Q]) IDs(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) (ids []any, _ error) {
	err := s.scan(ctx, drv, match, []string{s.model.IDColumn}, func(scan scanner) error {
		id, err := s.scanID(drv, scan)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

func (s *signal[C, T, ID, Q]) Keys(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) (ids, keys []any, _ error) {
	err := s.scan(ctx, drv, match, []string{s.model.IDColumn, s.model.KeyColumn}, func(scan scanner) error {
		var key any
		id, err := s.scanID(drv, scan, &key)
		ids, keys = append(ids, id), append(keys, database.KeyOf(drv, key))
		return err
	})
	return ids, keys, err
}

func (s *signal[C, T, ID, Q]) Recorded(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) (ids []any, at []*time.Time, _ error) {
	err := s.scan(ctx, drv, match, []string{s.model.IDColumn, trace.FieldRecordedAt}, func(scan scanner) error {
		var recorded database.Time
		id, err := s.scanID(drv, scan, &recorded)
		ids, at = append(ids, id), append(at, recorded.At)
		return err
	})
	return ids, at, err
}

// RowState describes a row that isn't decoded.
type RowState struct {
	ID    any
	Retry retry.State // zero without mixin.Retry
}

func (s *signal[C, T, ID, Q]) States(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) (all []RowState, _ error) {
	columns := []string{s.model.IDColumn}
	selected := match
	if s.model.Retry != nil {
		columns = append(columns, retry.FieldAttempts, retry.FieldError)
		selected = func(s *sql.Selector) {
			match(s)
			database.SelectTimes(s, retry.FieldRetryAt, retry.FieldFailedAt)
		}
	}
	err := s.scan(ctx, drv, selected, columns, func(scan scanner) (err error) {
		var (
			row               RowState
			attempts          stdsql.NullInt64
			text              stdsql.NullString
			retryAt, failedAt database.Time
			more              []any
		)
		if s.model.Retry != nil {
			more = []any{&attempts, &text, &retryAt, &failedAt}
		}
		if row.ID, err = s.scanID(drv, scan, more...); err != nil {
			return err
		}
		row.Retry = retry.State{Attempts: int(attempts.Int64), RetryAt: retryAt.At, FailedAt: failedAt.At}
		if text.Valid {
			row.Retry.Error = &text.String
		}
		all = append(all, row)
		return nil
	})
	return all, err
}
