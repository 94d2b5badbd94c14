package option

import (
	"context"
	"log/slog"
	"time"
)

// Bus holds the settings of a bus.
type Bus struct {
	Log            *slog.Logger
	HandleError    func(context.Context, error)
	FlushTimeout   time.Duration
	BurstCount     int    // for signals whose schema sets none; 0: it grows
	BatchBytes     int64  // estimated memory of the rows of a batch
	Queue          int    // 0: commits wait for their autoflush
	MissingSenders bool   // signals without a sender are allowed
	Durable        bool   // the deletion of what was sent waits for the disk
	Autocommit     bool   // see entsignal.WithAutocommitDriver
	WakeUp         WakeUp // nil: there is none
	Setup          []func(bus any) error
	Observers      []func(ctx context.Context, event any)
	Tracer         any // nil, or an entsignal.Tracer
}

// DefaultBus returns the settings of a bus without options.
func DefaultBus() Bus {
	return Bus{
		Log:          slog.New(slog.DiscardHandler),
		HandleError:  func(context.Context, error) {},
		FlushTimeout: 10 * time.Second,
		BatchBytes:   64 << 20,
	}
}

// WakeUp is entsignal's, which this package can't import.
type WakeUp interface {
	Notify(ctx context.Context, signals []string) error
	Listen(ctx context.Context, wake func(signals []string)) error
}
