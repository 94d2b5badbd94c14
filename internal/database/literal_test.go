package database

import (
	"testing"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"
)

type cents int64

func TestOnlyNumbersAreWrittenIntoStatements(t *testing.T) {
	for _, c := range []struct {
		ids   []any
		query string
		args  int
	}{
		{[]any{1, int64(-2), uint8(3), cents(4)}, `SELECT * FROM "t" WHERE "t"."id" IN (1,-2,3,4)`, 0},
		{[]any{1, "2"}, `SELECT * FROM "t" WHERE "t"."id" IN ($1, $2)`, 2},
		{[]any{"1); DROP TABLE t; --"}, `SELECT * FROM "t" WHERE "t"."id" IN ($1)`, 1},
		{[]any{[16]byte{}}, `SELECT * FROM "t" WHERE "t"."id" IN ($1)`, 1},
		{[]any{1.5}, `SELECT * FROM "t" WHERE "t"."id" IN ($1)`, 1},
	} {
		table := sql.Dialect(dialect.Postgres).Table("t")
		query, args := sql.Dialect(dialect.Postgres).Select().From(table).Where(In(&tx{driverTraits: driverTraits{literals: true}}, table.C("id"), true, c.ids)).Query()
		assert.Equal(t, c.query, query)
		assert.Len(t, args, c.args)
	}
	table := sql.Dialect(dialect.Postgres).Table("t")
	query, _ := sql.Dialect(dialect.Postgres).Select().From(table).Where(In(&tx{}, table.C("id"), true, []any{1})).Query()
	assert.Equal(t, `SELECT * FROM "t" WHERE "t"."id" IN ($1)`, query, "where arguments cost nothing")
	query, _ = sql.Dialect(dialect.Postgres).Select().From(table).Where(In(&tx{driverTraits: driverTraits{literals: true}}, table.C("id"), false, []any{1})).Query()
	assert.Equal(t, `SELECT * FROM "t" WHERE "t"."id" IN ($1)`, query, "the column may be a text")
}
