package table

import (
	"context"
	stdsql "database/sql"
	"slices"
	"sync/atomic"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"entgo.io/ent/privacy"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/foreign"
	"github.com/entsignal/signalbus/internal/retry"
)

// Load implements [Signal].
func (s *signal[C, T, ID, Q]) Load(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) (Rows, error) {
	w := &decoding{Driver: drv}
	found, err := foreign.Call(func() ([]T, error) {
		q := s.model.Query(s.config, w, func(sel *sql.Selector) {
			match(sel)
			if s.model.Retry != nil {
				retry.SelectTimes(sel)
			}
		})
		for _, with := range []func(Q){s.model.Children, s.model.With} {
			if with != nil {
				with(q)
			}
		}
		return q.All(allowed(ctx))
	})
	switch {
	case err == nil:
	case w.failed.Load() && ctx.Err() == nil && !database.IsOfServer(err):
		return nil, &entsignal.DecodeError{Err: err}
	default:
		return nil, err
	}
	ids := make([]any, len(found))
	for i, row := range found {
		if ids[i], err = s.codec.value(s.model.ID(row)); err != nil {
			return nil, &entsignal.DecodeError{Err: err}
		}
	}
	return &rows[T]{of: s, entities: found, ids: ids, drv: drv}, nil
}

// decoding is a driver that notices when ent fails to decode the result of a query.
// ent then stops reading in the middle of the result, or the driver ends it there.
type decoding struct {
	dialect.Driver
	failed atomic.Bool
}

// Query implements [dialect.ExecQuerier].
func (d *decoding) Query(ctx context.Context, query string, args, v any) error {
	if err := d.Driver.Query(ctx, query, args, v); err != nil {
		return err
	}
	if rows, ok := v.(*sql.Rows); ok {
		rows.ColumnScanner = &decodingRows{ColumnScanner: rows.ColumnScanner, of: d}
	}
	return nil
}

// decodingRows is the result of one query.
type decodingRows struct {
	sql.ColumnScanner
	of     *decoding
	inside bool // Next has returned a row, and was not called again
}

// Next implements [sql.ColumnScanner].
func (r *decodingRows) Next() bool {
	r.inside = r.ColumnScanner.Next()
	if !r.inside && r.Err() != nil {
		r.of.failed.Store(true)
	}
	return r.inside
}

// Scan implements [sql.ColumnScanner].
func (r *decodingRows) Scan(dest ...any) error { return scanGuarded(r.ColumnScanner, dest) }

// Close implements [sql.ColumnScanner].
func (r *decodingRows) Close() error {
	if r.inside {
		r.of.failed.Store(true)
	}
	r.inside = false
	return r.ColumnScanner.Close()
}

// scanGuarded scans a row. If a Scan method panicked inside database/sql, it would
// leave a lock behind, and closing the rows would wait for it for ever.
func scanGuarded(rows sql.ColumnScanner, dest []any) error {
	guarded := false
	for i, d := range dest {
		switch d.(type) {
		case *stdsql.NullInt64, *stdsql.NullString, *stdsql.NullBool, *stdsql.NullFloat64, *stdsql.NullTime:
			continue
		}
		if s, ok := d.(stdsql.Scanner); ok {
			if !guarded { // dest is the caller's
				dest, guarded = slices.Clone(dest), true
			}
			dest[i] = guardedScanner{s}
		}
	}
	return rows.Scan(dest...)
}

type guardedScanner struct{ of stdsql.Scanner }

// Scan implements [stdsql.Scanner].
func (s guardedScanner) Scan(v any) error {
	_, err := foreign.Call(func() (struct{}, error) { return struct{}{}, s.of.Scan(v) })
	return err
}

// allowed bypasses the project's privacy rules: they limit what its users may see,
// and the bus is not one of them.
func allowed(ctx context.Context) context.Context {
	return privacy.DecisionContext(ctx, privacy.Allow)
}
