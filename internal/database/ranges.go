package database

import (
	"math"
	"slices"
	"strconv"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

const (
	// maxRanges bounds the ranges of one statement: SQLite parses no
	// expression that is deeper than 1000.
	maxRanges = 100
	// rangeLength is how many ids a range has at least, on average, to be
	// cheaper than a list.
	rangeLength = 8
)

// inRanges matches the rows that have one of the ids in the column, for a
// deletion. Numbers that follow each other, as those of a backlog do, are
// matched by the range that they fill. PostgreSQL was measured to delete 1000
// rows by a range in a third of the time that a list takes, and SQLite in half
// of the CPU time.
//
// It is not for MySQL, which locks the row behind a range too.
func inRanges(drv dialect.Driver, table Table, ids []any) *sql.Predicate {
	column := table.IDColumn
	ranges, ok := rangesOf(ids)
	if !ok || !table.Counted || len(ranges) > maxRanges || len(ranges)*rangeLength > len(ids) {
		return In(drv, column, table.Counted, ids)
	}
	bound := func(n int64) any { return n }
	if takesLiterals(drv) {
		bound = func(n int64) any { return sql.Raw(strconv.FormatInt(n, 10)) }
	}
	predicates := make([]*sql.Predicate, len(ranges))
	for i, r := range ranges {
		predicates[i] = sql.P(func(b *sql.Builder) {
			b.Ident(column).WriteString(" BETWEEN ").Arg(bound(r.first)).WriteString(" AND ").Arg(bound(r.last))
		})
	}
	return sql.Or(predicates...)
}

// idRange is all whole numbers from the first to the last.
type idRange struct{ first, last int64 }

// rangesOf returns the ranges that the ids fill, lowest first. It reports false
// if there is an id that isn't a whole number.
func rangesOf(ids []any) ([]idRange, bool) {
	numbers := make([]int64, len(ids))
	for i, id := range ids {
		n, ok := wholeNumber(id)
		if !ok {
			return nil, false
		}
		numbers[i] = n
	}
	slices.Sort(numbers)
	var ranges []idRange
	for _, n := range numbers {
		if last := len(ranges) - 1; last >= 0 && (n == ranges[last].last || n-1 == ranges[last].last) {
			ranges[last].last = n
			continue
		}
		ranges = append(ranges, idRange{n, n})
	}
	return ranges, true
}

// wholeNumber returns the number that an id is stored as. An unsigned one may be
// too large for it.
func wholeNumber(id any) (int64, bool) {
	switch v, ok := integer(id); {
	case !ok:
		return 0, false
	case v.CanInt():
		return v.Int(), true
	default:
		return int64(v.Uint()), v.Uint() <= math.MaxInt64
	}
}
