package inbox_test

import (
	"context"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/inbox/ent"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

func TestTableWithoutItsUniqueIndexIsAnError(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		drop := "DROP INDEX received_source_message_id"
		if c.db.Dialect == dialect.MySQL {
			drop += " ON receiveds"
		}
		c.exec(t, drop)
		_, err := c.Received.Once(ctx(t), message(1), func(context.Context, *ent.Tx) error {
			t.Error("handled")
			return nil
		})
		require.ErrorContains(t, err, "entsignal: inbox Received: ")
		_, err = c.Received.OnceMany(ctx(t), []entsignal.MessageKey{message(1), message(2)}, func(context.Context, *ent.Tx, []entsignal.MessageKey) error {
			t.Error("handled")
			return nil
		})
		require.ErrorContains(t, err, "entsignal: inbox Received: ")
		c.empty(t)
	})
}

// A key that only looks like a repeat must not be dropped.
func TestMessageIsNotTakenForARepeatByATableThatComparesLoosely(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		c := open(t, db, db.Driver(t))
		c.exec(t, "ALTER TABLE receiveds MODIFY message_id VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL, ADD UNIQUE (received_at, source)")
		assert.True(t, c.handle(t, entsignal.MessageKey{Source: "shop", ID: "a"}))
		for _, key := range []entsignal.MessageKey{{Source: "shop", ID: "A"}, {Source: "shop", ID: "a "}} {
			first, err := c.Received.Once(ctx(t), key, func(context.Context, *ent.Tx) error { return nil })
			require.ErrorContains(t, err, "expected columns source and message_id that compare exactly", key)
			assert.False(t, first)
		}
		assert.False(t, c.handle(t, entsignal.MessageKey{Source: "shop", ID: "a"}))
	})
}

// The server refuses each further row by the primary key.
func TestMessageIsNotTakenForARepeatByATableWhoseIDsAreUsedUp(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		c := open(t, db, db.Driver(t))
		c.exec(t, "ALTER TABLE receiveds MODIFY id TINYINT NOT NULL AUTO_INCREMENT")
		c.exec(t, "INSERT INTO receiveds (id, source, message_id, received_at) VALUES (127, 'shop', 'last', CURRENT_TIMESTAMP)")
		first, err := c.Received.Once(ctx(t), message(1), func(context.Context, *ent.Tx) error {
			t.Error("handled")
			return nil
		})
		require.Error(t, err)
		assert.False(t, first)
	})
}

// The statement is that of docs/consuming.md, for programs without ent.
func TestProgramsWithoutEntShareTheInbox(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		statement := "INSERT INTO receiveds (source, message_id, received_at) VALUES ($1, $2, CURRENT_TIMESTAMP) ON CONFLICT (source, message_id) DO NOTHING"
		if c.db.Dialect == dialect.MySQL {
			statement = "INSERT IGNORE INTO receiveds (source, message_id, received_at) VALUES (?, ?, CURRENT_TIMESTAMP)"
		}
		pool := c.db.Open(t)
		insert := func(key entsignal.MessageKey) (first bool) {
			result, err := pool.Exec(statement, key.Source, key.ID)
			require.NoError(t, err)
			n, err := result.RowsAffected()
			require.NoError(t, err)
			return n > 0
		}
		assert.True(t, insert(message(1)))
		assert.False(t, insert(message(1)))
		assert.False(t, c.handle(t, message(1)))
		assert.True(t, c.handle(t, message(2)))
		assert.False(t, insert(message(2)))
		c.age(t, "receiveds", 61)
		assert.True(t, insert(message(3)))
		n, err := c.Received.Purge(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 2, n)
	})
}
