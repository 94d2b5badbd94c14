package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain makes a process of the demo of the test's own program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		main()
	}
	os.Exit(m.Run())
}

func environment(t *testing.T) {
	t.Helper()
	for own, server := range map[string]string{
		northVariable: "ENTSIGNAL_TEST_POSTGRES", southVariable: "ENTSIGNAL_TEST_MARIADB", "AMQP_URL": "ENTSIGNAL_TEST_AMQP",
	} {
		value := os.Getenv(server)
		require.NotEmpty(t, value, "set %s, or run the tests by `make test`", server)
		t.Setenv(own, value)
	}
	t.Setenv("PAIR_EXCHANGE", "") // to be restored
}

func TestBooksAgreeAfterTheDemo(t *testing.T) {
	environment(t)
	var out, errs strings.Builder
	code := run(t.Context(), []string{"demo"}, &out, &errs)
	t.Logf("%s%s", &out, &errs)
	require.Zero(t, code)
	assert.Contains(t, out.String(), "each was killed 5 times\n")
	assert.Contains(t, out.String(), "both: 10000.00, and 10000.00 at the beginning; 0 transfers applied more than once, 0 not at all\n")
	assert.NotContains(t, out.String(), "north: 0 transfers")
}

func TestAuditNoticesWhatIsWrong(t *testing.T) {
	environment(t)
	remove, err := ownPlace(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, remove()) })
	require.Zero(t, run(t.Context(), []string{"setup"}, io.Discard, io.Discard))
	b, err := open(slog.New(slog.DiscardHandler), north)
	require.NoError(t, err)
	defer func() { require.NoError(t, b.close()) }()
	audited := func() (string, string) {
		var out, errs strings.Builder
		run(t.Context(), []string{"audit"}, &out, &errs)
		return out.String(), errs.String()
	}
	_, errs := audited()
	assert.Empty(t, errs)

	require.NoError(t, b.send(t.Context(), 1, south, 2, 100))
	require.ErrorIs(t, b.send(t.Context(), 1, south, 2, start), errTooLittle)
	_, errs = audited()
	assert.Contains(t, errs, "while money is under way")
	require.NoError(t, letSettle(t.Context(), slog.New(slog.DiscardHandler)))
	out, errs := audited()
	assert.Empty(t, errs)
	assert.Contains(t, out, "north: 1 transfers: 1 booked, 0 returned, 0 under way; 4999.00 on its accounts\n")

	_, err = b.client.Entry.Create().SetAccount(1).SetCents(1).SetBank(south).SetTransfer(7).Save(context.Background())
	require.NoError(t, err)
	out, errs = audited()
	assert.Contains(t, out, "1 transfers applied more than once")
	assert.Contains(t, errs, "the books don't agree")
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"serve"}, {"serve", "west"}, {"audit", "north"}, {"demo", "-x"}} {
		var errs strings.Builder
		assert.Equal(t, 2, run(t.Context(), args, io.Discard, &errs), args)
		assert.Contains(t, errs.String(), usage)
	}
}
