package option

import (
	"context"
	"log/slog"
	"time"
)

// Bus is what the options of a bus set.
type Bus struct {
	Log            *slog.Logger
	HandleError    func(context.Context, error)
	FlushTimeout   time.Duration
	BurstCount     int   // of signals whose schema sets none; 0: it grows
	BatchBytes     int64 // about how much memory the rows of a batch take
	Queue          int   // 0: commits wait for their autoflush
	MissingSenders bool  // are allowed
	Autocommit     bool  // the application vouches for its driver
	Setup          []func(bus any) error
	Observers      []func(ctx context.Context, event any)
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
