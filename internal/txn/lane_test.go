package txn

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const update = "UPDATE `accounts` SET `balance` = ? WHERE `id` = ?"

// try begins a try of a call and touches the row.
func try(t *testing.T, c *Contender, losses int, id any) error {
	t.Helper()
	c.Begin(t.Context(), losses, false)
	return c.Touch(update, []any{1, id})
}

// lost returns a call that has lost twice at the row.
func lost(t *testing.T, l *Lane, id any) *Contender {
	t.Helper()
	c := l.NewContender()
	for n := range lossesForLine {
		require.NoError(t, try(t, c, n, id))
		c.End()
	}
	return c
}

func TestTransactionThatHasLostTwiceIsTheNextAtItsRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lane := NewLane()
		loser := lost(t, lane, 7)
		ahead := lane.NewContender()
		require.NoError(t, try(t, ahead, 0, 7))

		runs := make(chan error, 1)
		go func() { runs <- try(t, loser, lossesForLine, 7) }()
		synctest.Wait()
		assert.Empty(t, runs, "one that has the row is under way")
		began := time.Now()

		other := lane.NewContender()
		require.ErrorIs(t, try(t, other, 0, 7), ErrGivesWay)
		require.NoError(t, ahead.Touch(update, []any{2, 7}), "it has the row already")
		stranger := lane.NewContender()
		require.NoError(t, try(t, stranger, 0, 8))
		require.NoError(t, stranger.Touch("INSERT INTO `accounts` (`id`) VALUES (?)", []any{7}))
		require.NoError(t, stranger.Touch("SELECT * FROM `accounts` WHERE `id` = ?", []any{7}), "it only reads")
		last := lane.NewContender()
		last.Begin(t.Context(), 0, true)
		require.NoError(t, last.Touch(update, []any{1, 7}), "one that has no other try")
		last.End()
		assert.Zero(t, time.Since(began), "none of them waits")

		ahead.End()
		require.NoError(t, <-runs)
		assert.Zero(t, time.Since(began))
		require.ErrorIs(t, other.Touch(update, []any{3, 7}), ErrGivesWay, "until it has ended")
		loser.End()
		require.NoError(t, other.Touch(update, []any{3, 7}))
	})
}

func TestTransactionsInLineTakeTurnsByAgeAndOnlyAtTheSameRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lane := NewLane()
		first, second, elsewhere := lost(t, lane, 7), lost(t, lane, 7), lost(t, lane, 8)
		require.NoError(t, try(t, first, lossesForLine, 7))
		require.NoError(t, try(t, elsewhere, lossesForLine, 8))
		require.ErrorIs(t, elsewhere.Touch(update, []any{1, 7}), ErrGivesWay)

		runs := make(chan error, 1)
		go func() { runs <- try(t, second, lossesForLine, 7) }()
		synctest.Wait()
		assert.Empty(t, runs)
		first.End() // lost again
		require.NoError(t, <-runs)
		go func() { runs <- try(t, first, lossesForLine+1, 7) }()
		synctest.Wait()
		assert.Empty(t, runs, "the other has begun")
		second.End()
		require.NoError(t, <-runs)
	})
}

func TestNobodyWaitsInTheLaneForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lane := NewLane()
		loser := lost(t, lane, 7)
		outer := lane.NewContender() // whose function calls the other
		require.NoError(t, try(t, outer, 0, 7))
		began := time.Now()
		require.NoError(t, try(t, loser, lossesForLine, 7))
		assert.Equal(t, lanePatience, time.Since(began))
		require.NoError(t, try(t, lane.NewContender(), 0, 7), "what gave up stops nobody")
		loser.End()

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		loser.Begin(ended, lossesForLine, false)
		assert.Equal(t, lanePatience, time.Since(began))
	})
}

func TestStatementsAboutOneEntityHaveOneName(t *testing.T) {
	for _, c := range []struct {
		query string
		args  []any
		want  string
	}{
		{update, []any{5, 7}, "accounts[7]"},
		{`UPDATE "accounts" SET "balance" = COALESCE("accounts"."balance", 0) + $1 WHERE "id" = $2`, []any{5, 7}, "accounts[7]"},
		{`SELECT "accounts"."id" FROM "accounts" WHERE "accounts"."id" = $1 LIMIT 2 FOR UPDATE`, []any{7}, "accounts[7]"},
		{`SELECT "accounts"."id" FROM "accounts" WHERE "accounts"."id" = $1 LIMIT 2`, []any{7}, ""},
		{"DELETE FROM `accounts` WHERE `id` IN (?, ?)", []any{7, 8}, "accounts[7 8]"},
		{"DELETE FROM `accounts`", nil, ""},
		{"UPDATE accounts SET balance = 0 WHERE id = 7", nil, ""},
		{`INSERT INTO "accounts" ("owner") VALUES ($1)`, []any{"ann"}, ""},
		{"SET x WHERE y", []any{1}, ""},
		{"", nil, ""},
	} {
		got, ok := rowOf(c.query, c.args)
		assert.Equal(t, c.want, got, c.query)
		assert.Equal(t, c.want != "", ok, c.query)
	}
}
