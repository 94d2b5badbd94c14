package txn

import (
	stdsql "database/sql"

	"entgo.io/ent/dialect/sql"
)

// watch makes the guard notice errors that are reported while rows are read and
// closed, because a server that has sent the first rows may still roll back the
// transaction. Rows of database/sql keep their error, so the guard looks at it
// before anything else is done in the transaction. Rows of other drivers get a
// wrapper.
func (g *Guard) watch(v any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch v := v.(type) {
	case *stdsql.Rows:
		g.rows = append(g.rows, v)
	case *sql.Rows:
		switch rows := v.ColumnScanner.(type) {
		case nil:
		case *stdsql.Rows:
			g.rows = append(g.rows, rows)
		default:
			v.ColumnScanner = &watched{ColumnScanner: rows, guard: g}
		}
	}
}

// lookAtRows notes the errors of the rows, and drops rows that are closed.
func (g *Guard) lookAtRows() {
	open := g.rows[:0]
	for _, rows := range g.rows {
		if rows.Err() == nil {
			if _, closed := rows.Columns(); closed == nil {
				open = append(open, rows)
				continue
			}
		}
		g.note(rows.Err())
	}
	clear(g.rows[len(open):])
	g.rows = open
}

// watched wraps the rows of a driver that isn't ent's own.
type watched struct {
	sql.ColumnScanner
	guard *Guard
}

// Next implements [sql.ColumnScanner].
func (w *watched) Next() bool { return w.ColumnScanner.Next() || w.failed(w.ColumnScanner.Err()) }

// NextResultSet implements [sql.ColumnScanner].
func (w *watched) NextResultSet() bool {
	return w.ColumnScanner.NextResultSet() || w.failed(w.ColumnScanner.Err())
}

// Scan implements [sql.ColumnScanner].
func (w *watched) Scan(dest ...any) error { return w.noted(w.ColumnScanner.Scan(dest...)) }

// Err implements [sql.ColumnScanner].
func (w *watched) Err() error { return w.noted(w.ColumnScanner.Err()) }

// Close implements [sql.ColumnScanner].
func (w *watched) Close() error {
	err := w.noted(w.ColumnScanner.Close())
	w.failed(w.ColumnScanner.Err())
	return err
}

func (w *watched) noted(err error) error {
	w.failed(err)
	return err
}

// failed notes the error. It returns false, for Next.
func (w *watched) failed(err error) bool {
	w.guard.mu.Lock()
	defer w.guard.mu.Unlock()
	w.guard.note(err)
	return false
}
