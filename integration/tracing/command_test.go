package tracing_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/cmd/signalcli"
	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

func TestCommandsShowTheExactAge(t *testing.T) {
	t.Parallel()
	s := open(t, testdb.New(t, testdb.SQLite))
	s.bus.SetAutoFlush(false)
	run := func(args ...string) (string, error) {
		var out strings.Builder
		c := signalcli.Command(func(context.Context) (*entsignal.Bus, func() error, error) {
			return s.bus, func() error { return nil }, nil
		})
		c.SetArgs(args)
		c.SetOut(&out)
		c.SetErr(&out)
		err := c.ExecuteContext(t.Context())
		return out.String(), err
	}
	out, err := run("pending")
	require.NoError(t, err)
	assert.NotContains(t, out, "OLDEST")

	s.OrderPlaced.Create().SetNumber(1).SetSignalRecordedAt(time.Now().Add(-2 * time.Hour)).SaveX(t.Context())
	s.AuditLogged.Create().SetNumber(1).SaveX(t.Context())
	out, err = run("pending")
	require.NoError(t, err)
	assert.Regexp(t, `SIGNAL +PENDING +OLDEST +AGE`, out)
	assert.Regexp(t, `OrderPlaced +1 +1 +2h0m[0-9.]+s\n`, out)
	assert.Regexp(t, `AuditLogged +1 *\n`, out)
	state := t.TempDir() + "/state.json"
	out, err = run("pending", "--state", state)
	require.NoError(t, err)
	assert.Regexp(t, `OrderPlaced +1 +1 +2h0m[0-9.]+s\n`, out)
	assert.Regexp(t, `AuditLogged +1 +1 +at least [0-9.]+m?s\n`, out)
	out, err = run("pending", "--output", "json")
	require.NoError(t, err)
	assert.Regexp(t, `"oldest_id":"1","age_seconds":720[0-9.]+,"age_is":"exact"`, out)

	out, err = run("check", "OrderPlaced", "--max-age", "3h") // which knows at once
	require.NoError(t, err)
	assert.Regexp(t, `^ok: 1 pending, 0 dead, the oldest recorded 2h0m[0-9.]+s ago \(OrderPlaced 1\)\n$`, out)
	out, err = run("check", "--max-age", "90m", "--state", state)
	require.Error(t, err)
	assert.Regexp(t, `^exceeded: OrderPlaced has id 1 pending for 2h0m[0-9.]+s \(limit 1h30m0s\)\n$`, out)
}
