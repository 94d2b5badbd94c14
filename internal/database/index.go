package database

import (
	"context"
	stdsql "database/sql"
	"fmt"
	"slices"
	"strings"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// An Index is an index of a table: no part of the rows is left out, and each column
// is indexed as a whole.
type Index struct {
	Columns []Sorted
	Unique  bool
}

// Sorted is a column by which rows are sorted.
type Sorted struct {
	Column string
	Desc   bool
}

// An IndexedOrder is what an index of an ordered signal has to serve.
type IndexedOrder struct {
	Key   string   // the column of the OrderKey; empty if there is none
	Terms []Sorted // the last one is the id
}

// Columns returns the columns of an index that serves the order.
func (o IndexedOrder) Columns() []Sorted {
	if o.Key == "" {
		return o.Terms
	}
	key := Sorted{Column: o.Key}
	return append([]Sorted{key}, slices.DeleteFunc(slices.Clone(o.Terms), func(t Sorted) bool { return t.Column == o.Key })...)
}

// IsOf reports whether the order is that of one column alone.
func (o IndexedOrder) IsOf(column string) bool { return o.Key == "" && o.Terms[0].Column == column }

// ServedBy reports whether the first rows in the order, or of a key, can be read
// from the index without reading others. The id may be missing if the columns before
// it are unique, and behind a key, of which there are only a few rows.
func (o IndexedOrder) ServedBy(x Index) bool {
	want := o.Columns()
	var flipped bool // the index is read backwards
	for i, term := range want {
		if i == len(x.Columns) {
			return x.Unique || o.Key != "" && i > 0 && i == len(want)-1
		}
		has := x.Columns[i]
		differs := has.Desc != term.Desc
		switch {
		case has.Column != term.Column:
			return false
		case i == 0 && o.Key != "": // all rows that are read have the same value
		case i == 0 || i == 1 && o.Key != "":
			flipped = differs
		case differs != flipped:
			return false
		}
	}
	return true
}

// Create returns the statement that creates the index, for people.
func (o IndexedOrder) Create(dialectName string, t Table) string {
	b := &sql.Builder{}
	b.SetDialect(dialectName)
	b.WriteString("CREATE INDEX ")
	if dialectName == dialect.Postgres {
		b.WriteString("CONCURRENTLY ")
	} else {
		b.Ident(t.Name + "_order").Pad()
	}
	b.WriteString("ON ")
	writeTable(b, t.Schema, t.Name)
	b.WriteString(" (")
	for i, c := range o.Columns() {
		if i > 0 {
			b.Comma()
		}
		b.Ident(c.Column)
		if c.Desc {
			b.WriteString(" DESC")
		}
	}
	return b.WriteByte(')').String()
}

// gatherIndexes reads indexes with a query whose rows are: the name of the index,
// whether it is unique, and one of its columns, which is NULL for an expression or a
// part of a column, and whether it is sorted downwards.
func gatherIndexes(ctx context.Context, drv dialect.Driver, text string, args []any) (all []Index, _ error) {
	var (
		last    string
		skipped bool
	)
	err := query(ctx, drv, text, args, func(rows *sql.Rows) error {
		var (
			name         string
			column       stdsql.NullString
			unique, desc bool
		)
		if err := rows.Scan(&name, &unique, &column, &desc); err != nil {
			return err
		}
		if len(all) == 0 || name != last {
			all, last, skipped = append(all, Index{Unique: unique}), name, false
		}
		x := &all[len(all)-1]
		switch skipped = skipped || !column.Valid; {
		case skipped && unique: // the columns before it need not be unique
			x.Unique = false
		case !skipped:
			x.Columns = append(x.Columns, Sorted{column.String, desc})
		}
		return nil
	})
	return all, err
}

const indexesPostgres = `
SELECT x.indexrelid::text, x.indisunique, a.attname, x.indoption[n - 1] & 1 = 1
FROM pg_index x
JOIN pg_class c ON c.oid = x.indexrelid
JOIN pg_am m ON m.oid = c.relam AND m.amname = 'btree'
CROSS JOIN LATERAL generate_series(1, x.indnkeyatts) n
LEFT JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[n - 1]
WHERE x.indrelid = to_regclass(%s) AND x.indisvalid AND x.indpred IS NULL
ORDER BY 1, n`

// indexesMySQL: each index of InnoDB ends with the primary key.
const indexesMySQL = `
SELECT index_name, non_unique = 0, CASE WHEN sub_part IS NULL THEN column_name END, COALESCE(collation, 'A') = 'D'
FROM information_schema.statistics
WHERE table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND table_name = ? AND index_type = 'BTREE'
ORDER BY index_name, seq_in_index`

// indexesSQLite: a column without a name is an expression, or the row's number (-1).
const indexesSQLite = `
SELECT l.name, l."unique", CASE WHEN x.cid = -1 THEN ? ELSE x.name END, x."desc"
FROM pragma_index_list(?) l JOIN pragma_index_xinfo(l.name) x
WHERE l.partial = 0 AND (x.key = 1 OR x.cid = -1)
ORDER BY l.seq, x.seqno`

func findIndexesPostgres(ctx context.Context, drv dialect.Driver, t Table) ([]Index, error) {
	return gatherIndexes(ctx, drv, fmt.Sprintf(indexesPostgres, pgLiteral(pgTable(t))), nil)
}

func findIndexesMySQL(ctx context.Context, drv dialect.Driver, t Table) ([]Index, error) {
	all, err := gatherIndexes(ctx, drv, indexesMySQL, []any{t.Schema, t.Name})
	for i, x := range all {
		if !slices.ContainsFunc(x.Columns, func(c Sorted) bool { return strings.EqualFold(c.Column, t.IDColumn) }) {
			all[i].Columns = append(x.Columns, Sorted{Column: t.IDColumn})
		}
	}
	return all, err
}

func findIndexesSQLite(ctx context.Context, drv dialect.Driver, t Table) ([]Index, error) {
	var rowID any // the name of the column that is the row's number
	if t.Counted {
		rowID = t.IDColumn
	}
	return gatherIndexes(ctx, drv, indexesSQLite, []any{rowID, t.Name})
}

// OrderIndexed implements [Dialect].
func (l *locking) OrderIndexed(ctx context.Context, drv dialect.Driver, t Table, o IndexedOrder) (bool, error) {
	all, err := l.indexes(ctx, drv, t)
	if isPostgresRefusal(err) { // a server that only speaks PostgreSQL's protocol
		return true, nil
	}
	return slices.ContainsFunc(all, o.ServedBy), err
}

// OrderIndexed implements [Dialect].
func (s *sqlite) OrderIndexed(ctx context.Context, drv dialect.Driver, t Table, o IndexedOrder) (bool, error) {
	all, err := findIndexesSQLite(ctx, drv, t)
	return slices.ContainsFunc(all, o.ServedBy), err
}
