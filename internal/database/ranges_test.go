package database

import (
	"math"
	"testing"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"
)

func TestRangesAreTheIDsAndNothingElse(t *testing.T) {
	for _, c := range []struct {
		ids  []any
		want []idRange
	}{
		{[]any{1, 2, 3}, []idRange{{1, 3}}},
		{[]any{3, 1, 2, 2}, []idRange{{1, 3}}},
		{[]any{uint8(7), int64(-1), cents(0), 9}, []idRange{{-1, 0}, {7, 7}, {9, 9}}},
		{[]any{int64(math.MaxInt64), int64(math.MinInt64), int64(math.MaxInt64)}, []idRange{{math.MinInt64, math.MinInt64}, {math.MaxInt64, math.MaxInt64}}},
	} {
		got, ok := rangesOf(c.ids)
		assert.True(t, ok)
		assert.Equal(t, c.want, got)
	}
	for _, id := range []any{"1", 1.0, uint64(math.MaxUint64), [16]byte{}, nil} {
		_, ok := rangesOf([]any{id})
		assert.False(t, ok, "%v", id)
	}
}

func TestDeletionUsesRangesWhereTheyAreShorter(t *testing.T) {
	statement := func(drv *tx, ids ...any) (string, []any) {
		return sql.Dialect(dialect.Postgres).Delete("t").Where(inRanges(drv, Table{IDColumn: "id", Counted: true}, ids)).Query()
	}
	span := func(from, to int) (ids []any) {
		for i := from; i <= to; i++ {
			ids = append(ids, i)
		}
		return ids
	}
	query, args := statement(&tx{driverTraits: driverTraits{literals: true}}, span(1, 8)...)
	assert.Equal(t, `DELETE FROM "t" WHERE "id" BETWEEN 1 AND 8`, query)
	assert.Empty(t, args)

	query, args = statement(&tx{}, append(span(1, 10), span(20, 29)...)...)
	assert.Equal(t, `DELETE FROM "t" WHERE "id" BETWEEN $1 AND $2 OR "id" BETWEEN $3 AND $4`, query)
	assert.Equal(t, []any{int64(1), int64(10), int64(20), int64(29)}, args)

	query, _ = statement(&tx{driverTraits: driverTraits{literals: true}}, append(span(1, 7), span(9, 15)...)...)
	assert.Equal(t, `DELETE FROM "t" WHERE "id" IN (1,2,3,4,5,6,7,9,10,11,12,13,14,15)`, query)

	var many []any
	for i := range maxRanges + 1 {
		many = append(many, span(100*i, 100*i+50)...)
	}
	query, _ = statement(&tx{driverTraits: driverTraits{literals: true}}, many...)
	assert.Contains(t, query, " IN (0,1,")
}
