package foreign

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPanicIsAnErrorWithItsStack(t *testing.T) {
	cause := errors.New("cause")
	n, err := Call(func() (int, error) { panic(cause) })
	assert.Zero(t, n)
	assert.EqualError(t, err, "panic: cause")
	assert.ErrorIs(t, err, cause)
	var p *PanicError
	require.ErrorAs(t, err, &p)
	assert.Contains(t, string(p.Stack), "foreign_test.go")

	n, err = Call(func() (int, error) { return 1, cause })
	assert.Equal(t, 1, n)
	assert.Equal(t, cause, err)
	assert.NoError(t, Do(func() {}))
	assert.Error(t, Do(func() { panic(nil) })) //nolint:govet // as broken code does
}

// broken panics wherever it can.
type broken struct{}

func (broken) Enabled(context.Context, slog.Level) bool  { panic("enabled") }
func (broken) Handle(context.Context, slog.Record) error { panic("handle") }
func (broken) WithAttrs([]slog.Attr) slog.Handler        { panic("attrs") }
func (broken) WithGroup(string) slog.Handler             { panic("group") }

// half only breaks when it has something to write.
type half struct{ broken }

func (half) Enabled(context.Context, slog.Level) bool { return true }

func TestLoggerTellsThePanicsOfItsHandler(t *testing.T) {
	var told []string
	tell := func(_ context.Context, err error) { told = append(told, err.Error()) }
	log := Logger(slog.New(broken{}), tell)
	log.Info("nothing")
	log.With("k", "v").WithGroup("g").Info("nothing")
	Logger(slog.New(half{}), tell).Info("something")
	assert.Equal(t, []string{
		"the log handler: panic: enabled",
		"the log handler: panic: attrs",
		"the log handler: panic: group",
		"the log handler: panic: enabled",
		"the log handler: panic: handle",
	}, told)
}
