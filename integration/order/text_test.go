package order_test

import (
	"strings"
	"sync"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

// anyText are keys that a lock, a statement or a collation may take amiss.
func anyText(db *testdb.DB) []string {
	keys := []string{
		`O'Brien "the \ one" --`, "`;%_?$1", "\U0001F600", "\U0010FFFF日本", "tab\tand\nline", "e\u0301", "\u00e9", "\uFFFD",
		strings.Repeat("ä", 10_000), strings.Repeat("ä", 9_999) + "\U0001F600",
		"Ada", "ada", "ADA ", " Ada", "Ada  ",
	}
	if db.Dialect != dialect.Postgres { // which can't store it
		keys = append(keys, "a\x00b")
	}
	return keys
}

func TestKeysOfAnyTextAreSentInTheirOrder(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		to := &arrivals{}
		p := open(t, db, to)
		pool := db.Open(t)
		insert := "INSERT INTO name_greeteds (name, number) VALUES (?, ?)"
		switch db.Dialect {
		case dialect.MySQL:
			_, err := pool.Exec("ALTER TABLE name_greeteds MODIFY name longtext NOT NULL")
			require.NoError(t, err)
		case dialect.Postgres:
			insert = "INSERT INTO name_greeteds (name, number) VALUES ($1, $2)"
		}
		const each = 4
		keys := anyText(db)
		for number := range each {
			for _, key := range keys {
				_, err := pool.Exec(insert, key, number+1)
				require.NoError(t, err, "%.50q", key)
			}
		}
		var all sync.WaitGroup
		for _, p := range []*process{p, join(t, db, to)} {
			all.Go(func() {
				// MariaDB tells keys apart, when it lists them, by their first 1024
				// bytes: two that begin alike leave one after the other.
				for range 2 {
					_, err := p.NameGreeted.FlushOrdered(ctx(t), entsignal.Workers(3), entsignal.Burst(3))
					assert.NoError(t, err)
				}
			})
		}
		all.Wait()
		assert.Zero(t, p.pending(t, "NameGreeted"))
		assert.Equal(t, each*len(keys), to.count())
		for _, key := range keys {
			assert.Equal(t, numbers(each), to.of(key), "%.50q", key)
		}
	})
}

// While a new version of a program takes the place of an old one, both take
// turns.
func TestTurnOfAKeyIsTheOneThatEarlierVersionsTook(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		p := open(t, db, &arrivals{})
		conn, err := db.Open(t).Conn(ctx(t))
		require.NoError(t, err)
		defer conn.Close()
		const name = "SHA1(CONCAT('entsignal ', COALESCE(DATABASE(), ''), ' ', ?))"
		for _, key := range []string{"Ada", "ada", "\u00e9日本", `O'Brien "\"`} {
			_, err := conn.ExecContext(ctx(t), "INSERT INTO name_greeteds (name, number) VALUES (?, 1)", key)
			require.NoError(t, err)
			var mine bool
			require.NoError(t, conn.QueryRowContext(ctx(t), "SELECT GET_LOCK("+name+", 0)", "name_greeteds key "+key).Scan(&mine))
			require.True(t, mine)
			_, err = p.NameGreeted.FlushOrdered(ctx(t), entsignal.Wait(0))
			require.ErrorIs(t, err, entsignal.ErrBusy, key)
			require.NoError(t, conn.QueryRowContext(ctx(t), "SELECT RELEASE_LOCK("+name+")", "name_greeteds key "+key).Scan(&mine))
			_, err = p.NameGreeted.FlushOrdered(ctx(t), entsignal.Wait(0))
			require.NoError(t, err, key)
		}
	})
}
