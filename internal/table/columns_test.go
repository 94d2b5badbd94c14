package table

import (
	"testing"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"
)

func TestOldestRowOfEachKeyIsFoundInTheTablesSchema(t *testing.T) {
	c := Columns{ID: "i d", Key: "k"}
	b := sql.Dialect(dialect.Postgres)
	s := b.Select("*").From(b.Table("t").Schema("a b"))
	c.Oldest(7, 9, 5)(s)
	query, args := s.Query()
	assert.Equal(t, `SELECT * FROM "a b"."t" WHERE ("a b"."t"."i d" IN (`+
		`SELECT "entsignal_rows"."i d" FROM (`+
		`SELECT "a b"."t"."i d", (ROW_NUMBER() OVER (PARTITION BY "a b"."t"."k" ORDER BY "a b"."t"."i d")) AS "entsignal_number" FROM "a b"."t"`+
		`) AS "entsignal_rows" WHERE "entsignal_rows"."entsignal_number" = $1)`+
		` AND "a b"."t"."i d" > $2) AND "a b"."t"."i d" <= $3 ORDER BY "a b"."t"."i d" LIMIT 5`, query)
	assert.Equal(t, []any{1, 7, 9}, args)
}
