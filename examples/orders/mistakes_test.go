package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
)

// URLs that nobody should see: of servers that are not there, and malformed.
const (
	secret       = "hunter2"
	deadDatabase = "postgres://u:hunter2@127.0.0.1:1/db"
	badDatabase  = "postgres://u:hunter2@127.0.0.1:port/db"
	deadBroker   = "amqp://u:hunter2@127.0.0.1:1/"
	badBroker    = "amqp://u:hunter2@127.0.0.1:port/"
)

// TestMistakes has a clear error for each, without the values of the variables.
func TestMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		database, amqp string
		args           []string
		code           int
		want           string
	}{
		"unknown command":    {"x", "x", []string{"paint"}, 2, "unknown command"},
		"not a number":       {"x", "x", []string{"place", "-n", "many"}, 2, "invalid argument"},
		"less than none":     {"x", "x", []string{"place", "-n", "-1"}, 2, "invalid argument"},
		"an argument":        {"x", "x", []string{"place", "now"}, 2, "unknown command"},
		"no subcommand":      {"x", "x", []string{"signalbus"}, 2, "missing subcommand"},
		"unknown subcommand": {"x", "x", []string{"signalbus", "flsh"}, 2, "Run 'orders signalbus --help' for usage."},
		"unknown signal":     {deadDatabase, deadBroker, []string{"signalbus", "flush", "OrderPlced"}, 2, `did you mean "OrderPlaced"?`},
		"no database":        {"", deadBroker, []string{"signalbus", "flush"}, 1, "DATABASE_URL is not set"},
		"no broker":          {deadDatabase, "", []string{"place"}, 1, "AMQP_URL is not set"},
		"consume nothing":    {"", "", []string{"consume"}, 1, "AMQP_URL is not set"},
		"bad database":       {badDatabase, deadBroker, []string{"place"}, 1, "DATABASE_URL"},
		"bad broker":         {deadDatabase, "http://u:hunter2@127.0.0.1:1/", []string{"place"}, 1, "AMQP_URL"},
		"bad consume":        {"", badBroker, []string{"consume"}, 1, "AMQP_URL"},
		"bare slash":         {"", "amqp://u:12/hunter2@127.0.0.1:1/", []string{"consume"}, 1, "AMQP_URL"},
		"bare @ and slash":   {"", "amqp://u:a@hunter2/b@127.0.0.1:1/", []string{"consume"}, 1, "AMQP_URL"},
		"bare @ and ?":       {"", "amqp://u:a@hunter2?b@127.0.0.1:1/", []string{"consume"}, 1, "AMQP_URL"},
		"dead database":      {deadDatabase, deadBroker, []string{"setup"}, 1, "create the tables"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DATABASE_URL", c.database)
			t.Setenv("AMQP_URL", c.amqp)
			ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
			defer cancel()
			var stdout, stderr bytes.Buffer
			assert.Equal(t, c.code, run(ctx, c.args, &stdout, &stderr))
			assert.Contains(t, stderr.String(), c.want)
			assert.NotContains(t, stdout.String()+stderr.String(), secret)
			assert.NoError(t, ctx.Err(), "it took too long")
		})
	}
}

// TestNoPasswords has the commands of the group fail, in each form of their
// output.
func TestNoPasswords(t *testing.T) {
	urls := map[string]struct{ database, amqp, want string }{
		"bad database":            {badDatabase, deadBroker, "DATABASE_URL"},
		"bad database, key=value": {"host=127.0.0.1 port=x password=hunter2", deadBroker, ""},
		"dead database":           {deadDatabase, deadBroker, "127.0.0.1:1"},
		"bad broker":              {deadDatabase, badBroker, "AMQP_URL"},
		"bad broker, bad slash":   {deadDatabase, "amqp://u:12/hunter2@127.0.0.1:1/", ""},
		"bad broker, bare @":      {deadDatabase, "amqp://u:a@hunter2/b@127.0.0.1:1/", "AMQP_URL"},
		"bad database, bare @":    {"postgres://u:a@hunter2/b@127.0.0.1:1/db", deadBroker, "DATABASE_URL"},
		"another database":        {"mysql://u:hunter2@127.0.0.1:1/db?tls=true", deadBroker, "DATABASE_URL"},
		"bad broker, bad percent": {deadDatabase, "amqp://u:%zzhunter2@127.0.0.1:1/", "AMQP_URL"},
	}
	for name, c := range urls {
		for _, args := range []string{
			"pending", "pending --output json --log-format json",
			"flush -w 0", "flush -w 0 --output json --log-format json --log-level debug",
			"flushmany", "flushordered",
		} {
			t.Run(name+"/"+args, func(t *testing.T) {
				t.Setenv("DATABASE_URL", c.database)
				t.Setenv("AMQP_URL", c.amqp)
				stdout, stderr := failing(t, "signalbus "+args)
				assert.Contains(t, stdout+stderr, c.want)
				assert.NotContains(t, stdout+stderr, secret)
			})
		}
	}
}

// A command line is there for everybody to read, so nothing on it may need a
// password: neither of this program's own commands, nor of the group.
func TestNoFlagTakesAPassword(t *testing.T) {
	flags := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		usages := c.Flags().FlagUsages()
		flags += strings.Count(usages, "--")
		assert.NotRegexp(t, `(?i)url|dsn|password|secret|credential`, usages, c.CommandPath())
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(slog.New(slog.DiscardHandler)))
	assert.Greater(t, flags, 10)
}

// testNoPasswords has a flush reach the database and fail at the broker.
func testNoPasswords(t *testing.T, broker *broker) {
	t.Setenv("DATABASE_URL", newDatabase(t))
	command(t, "setup")
	t.Setenv("AMQP_URL", deadBroker)
	command(t, "place")
	right := strings.TrimPrefix(broker.url, "amqp://guest:guest@")
	for _, wrong := range []string{deadBroker, "amqp://guest:hunter2@" + right, "amqp://guest:12/hunter2@" + right} {
		t.Setenv("AMQP_URL", wrong)
		for _, args := range []string{"flush -w 0", "flushmany", "flushordered --output json --log-format json"} {
			stdout, stderr := failing(t, "signalbus "+args)
			assert.NotContains(t, stdout+stderr, secret)
		}
	}
}
