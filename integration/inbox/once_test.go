package inbox_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/inbox/ent"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

func TestRepeatIsDroppedAndItsHandlerDoesNotRun(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		assert.True(t, c.handle(t, message(1)))
		for range 2 {
			first, err := c.Received.Once(ctx(t), message(1), func(context.Context, *ent.Tx) error {
				t.Error("handled again")
				return nil
			})
			require.NoError(t, err)
			assert.False(t, first)
		}
		assert.True(t, c.handle(t, message(2)))
		assert.Equal(t, 1, c.applied(t, message(1)))
		assert.Equal(t, []string{message(1).String(), message(2).String()}, c.sent.Keys(), "signals of the handler leave by the consumer's bus")
		assert.Equal(t, 2, c.Received.Query().CountX(ctx(t)))
	})
}

func TestHandlerThatFailsLeavesNoKey(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		key := message(1)
		first, err := c.Received.Once(ctx(t), key, func(ctx context.Context, tx *ent.Tx) error {
			assert.NoError(t, apply(ctx, tx, key))
			return errHandler
		})
		assert.Equal(t, errHandler, err)
		assert.False(t, first)
		c.empty(t)

		assert.PanicsWithValue(t, "a bug", func() {
			_, _ = c.Received.Once(ctx(t), key, func(ctx context.Context, tx *ent.Tx) error {
				assert.NoError(t, apply(ctx, tx, key))
				panic("a bug")
			})
		})
		c.empty(t)

		ended, cancel := context.WithCancel(ctx(t))
		_, err = c.Received.Once(ended, key, func(ctx context.Context, tx *ent.Tx) error {
			assert.NoError(t, apply(ctx, tx, key))
			cancel()
			return nil
		})
		require.ErrorIs(t, err, context.Canceled)
		c.empty(t)

		assert.True(t, c.handle(t, key), "it comes again")
		assert.False(t, c.handle(t, key))
		assert.Equal(t, 1, c.applied(t, key))
	})
}

func TestHandlerRunsAgainAfterAConflict(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		tries := 0
		first, err := c.Received.Once(ctx(t), message(1), func(ctx context.Context, tx *ent.Tx) error {
			if tries++; tries < 3 {
				return entsignal.ErrSerialization
			}
			return apply(ctx, tx, message(1))
		}, entsignal.Backoff(0, 0))
		require.NoError(t, err)
		assert.True(t, first)
		assert.Equal(t, 3, tries)
		assert.Equal(t, 1, c.applied(t, message(1)))

		tries = 0
		first, err = c.Received.Once(ctx(t), message(2), func(context.Context, *ent.Tx) error {
			tries++
			return entsignal.ErrSerialization
		}, entsignal.Backoff(0, 0), entsignal.Retries(1))
		require.ErrorIs(t, err, entsignal.ErrSerialization)
		assert.False(t, first)
		assert.Equal(t, 2, tries)
		assert.Equal(t, 1, c.Received.Query().CountX(ctx(t)))
	})
}

func TestMessagesWithOneIDFromTwoSourcesAreTwo(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		for _, source := range []string{"shop", "warehouse"} {
			assert.True(t, c.handle(t, entsignal.MessageKey{Source: source, ID: "OrderPlaced:1"}))
			assert.False(t, c.handle(t, entsignal.MessageKey{Source: source, ID: "OrderPlaced:1"}))
		}
		assert.True(t, c.handle(t, entsignal.MessageKey{Source: "shopO", ID: "rderPlaced:1"}), "the halves are no one text")
	})
}

func TestKeysAreComparedExactly(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		ids := []string{"a", "A", "a ", " a", "ä", "a\u0308", "à", "😀", "a%", "a_", "a'", `a"`, `a\`, strings.Repeat("x", 255), strings.Repeat("x", 254), strings.Repeat("ä", 127)}
		for _, want := range []bool{true, false} {
			for _, id := range ids {
				first, err := c.Received.Once(ctx(t), entsignal.MessageKey{Source: "shop", ID: id}, func(context.Context, *ent.Tx) error { return nil })
				require.NoError(t, err)
				assert.Equal(t, want, first, id)
			}
		}
		var stored []string
		for _, r := range c.Received.Query().AllX(ctx(t)) {
			stored = append(stored, r.MessageID)
		}
		assert.ElementsMatch(t, ids, stored)
	})
}

func TestKeyThatCannotBeOneIsAPermanentError(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		const empty = "it is empty; without it, one message can't be told from another"
		for key, want := range map[entsignal.MessageKey]string{
			{}:                         `MessageKey{Source: "", ID: ""}: Source: ` + empty,
			{ID: "OrderPlaced:1"}:      `MessageKey{Source: "", ID: "OrderPlaced:1"}: Source: ` + empty,
			{Source: "shop"}:           `MessageKey{Source: "shop", ID: ""}: ID: ` + empty,
			{Source: "s", ID: "a\x00"}: `MessageKey{Source: "s", ID: "a\x00"}: ID: expected a text in UTF-8, without zero bytes`,
			{Source: "\xff", ID: "1"}:  `MessageKey{Source: "\xff", ID: "1"}: Source: expected a text in UTF-8, without zero bytes`,
			{Source: "s", ID: strings.Repeat("x", 256)}: `MessageKey{Source: "s", ID: "` + strings.Repeat("x", 256) + `"}: ID: expected at most 255 bytes`,
		} {
			first, err := c.Received.Once(ctx(t), key, func(context.Context, *ent.Tx) error {
				t.Error("handled")
				return nil
			})
			require.EqualError(t, err, "entsignal: inbox Received: "+want)
			assert.True(t, entsignal.IsPermanent(err))
			assert.False(t, first)
			_, err = c.Received.OnceMany(ctx(t), []entsignal.MessageKey{message(1), key}, func(context.Context, *ent.Tx, []entsignal.MessageKey) error {
				t.Error("handled")
				return nil
			})
			assert.EqualError(t, err, "entsignal: inbox Received: "+want)
		}
		c.empty(t)
	})
}

func TestInboxMayHaveIDsOfItsOwn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		for _, want := range []bool{true, false} {
			first, err := c.Seen.Once(ctx(t), message(1), func(context.Context, *ent.Tx) error { return nil })
			require.NoError(t, err)
			assert.Equal(t, want, first)
		}
		assert.True(t, c.handle(t, message(1)), "another inbox")
		seen := c.Seen.Query().OnlyX(ctx(t))
		assert.NotZero(t, seen.ID)
		assert.Equal(t, message(1), entsignal.MessageKey{Source: seen.Source, ID: seen.MessageID})
		keys := []entsignal.MessageKey{message(1), message(2), message(3)}
		first, err := c.Seen.OnceMany(ctx(t), keys, func(context.Context, *ent.Tx, []entsignal.MessageKey) error { return nil })
		require.NoError(t, err)
		assert.Equal(t, keys[1:], first)
	})
}

// The error of a commit whose answer is lost hides that the message was handled. It comes
// again, and is dropped.
func TestCommitWhoseAnswerIsLostIsNotRepeatedByTheNextDelivery(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		drv, faults := entsignaltest.Driver(t, db.Driver(t))
		c := open(t, db, drv)
		fault := faults.LoseCommit(1)
		_, err := c.Received.Once(ctx(t), message(1), func(ctx context.Context, tx *ent.Tx) error { return apply(ctx, tx, message(1)) })
		require.ErrorIs(t, err, entsignaltest.ErrConnectionLost)
		require.Equal(t, 1, fault.Struck())
		assert.False(t, c.handle(t, message(1)))
		assert.Equal(t, 1, c.applied(t, message(1)))
		sent, err := c.bus.Flush(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 1, sent)
	})
}

// A driver of MySQL may be told to count a row that stays as it was.
func TestRepeatIsFoundWhateverTheDriverCounts(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		db.DSN += "&clientFoundRows=true"
		c := open(t, db, db.Driver(t))
		assert.True(t, c.handle(t, message(1)))
		assert.False(t, c.handle(t, message(1)))
		first, err := c.Received.OnceMany(ctx(t), []entsignal.MessageKey{message(1), message(2)}, func(context.Context, *ent.Tx, []entsignal.MessageKey) error { return nil })
		require.NoError(t, err)
		assert.Equal(t, []entsignal.MessageKey{message(2)}, first)
	})
}
