package engine

import (
	"context"
	"errors"
	"log/slog"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/foreign"
)

// The bus calls code of the application: senders, the error handler, the log handler, and
// methods of their errors. A panic there must not stop the bus, because a commit has already
// succeeded, or because a panic in a goroutine of the bus would end the process. Code that also
// waits for a database, such as the queries of With, runs in [budget.Do], which handles panics
// too.

// report reports an error that is not returned to a caller. An outage was logged
// when it was noticed, and is not logged again for each commit.
func (e *Engine) report(ctx context.Context, err error) {
	if !entsignal.IsUnavailable(err) {
		e.logFailure(ctx, "autoflush failed, signals stay pending", err)
	}
	if p := foreign.Do(func() { e.handle(ctx, err) }); p != nil {
		e.logFailure(ctx, "the error handler panicked", p)
	}
}

// logFailure logs an error, with the stack if it is a panic.
func (e *Engine) logFailure(ctx context.Context, message string, err error) {
	args := []any{slog.Any("error", err)}
	var p *foreign.PanicError
	if errors.As(err, &p) {
		args = append(args, slog.String("stack", string(p.Stack)))
	}
	e.log.ErrorContext(ctx, message, args...)
}

// logHandlerPanicked calls the error handler. If that panics too, the panic is
// dropped.
func (e *Engine) logHandlerPanicked(ctx context.Context, err error) {
	_ = foreign.Do(func() { e.handle(ctx, err) })
}

// reportOnce reports an error that would repeat with each commit.
func (e *Engine) reportOnce(ctx context.Context, err error) {
	if e.logged.first(err.Error()) {
		e.report(context.WithoutCancel(ctx), err)
	}
}
