package database

import "entgo.io/ent/dialect/sql"

// Unless matches the rows that p doesn't match, in a form in which PostgreSQL's planner
// sees nothing. With a plain "signal_failed_at IS NULL", and statistics of the time when
// only dead rows were left in the table, it takes the others for rare, and sorts the
// whole table for each batch in place of walking along the key: 12 ms in place of
// 0.1 ms with 100,000 rows.
func Unless(p *sql.Predicate) *sql.Predicate {
	return sql.P(func(b *sql.Builder) {
		b.WriteString("CASE WHEN ").Join(p).WriteString(" THEN 1 ELSE 0 END <> 1")
	})
}
