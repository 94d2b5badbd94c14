package signalweb

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/view"
)

const (
	// flushTime is how long a flush may start new batches, and flushHoldBack how long it
	// waits for open transactions: somebody waits for the answer.
	flushTime     = 10 * time.Second
	flushHoldBack = time.Second
)

// repair retries or discards signals, and logs that.
func (s *server) repair(r *http.Request, action, name string, sel selection) (n int, err error) {
	if err := sel.check(); err != nil {
		return 0, err
	}
	if _, err := s.info(name); err != nil {
		return 0, err
	}
	defer func() {
		s.expire(name)
		s.logAction(r, action, name, n, err, slog.Any("ids", sel.IDs), slog.Bool("all", sel.All), slog.String("error_id", sel.ErrorID))
	}()
	ctx := r.Context()
	var of []entsignal.FlushOption
	if sel.ErrorID != "" {
		text, err := s.errorOf(ctx, name, sel.ErrorID)
		if err != nil {
			return 0, err
		}
		of = append(of, entsignal.ErrorText(text))
	}
	switch {
	case action == "discard" && len(sel.IDs) > 0:
		return s.bus.Discard(ctx, name, sel.IDs...)
	case action == "discard":
		return s.bus.DiscardAll(ctx, name, of...)
	case len(sel.IDs) > 0:
		return s.bus.Retry(ctx, name, sel.IDs...)
	default:
		return s.bus.RetryAll(ctx, name, of...)
	}
}

// flush sends what is pending of a type, for a while.
func (s *server) flush(r *http.Request, name string) (result view.Flush, err error) {
	info, err := s.info(name)
	if err != nil {
		return result, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), flushTime)
	defer cancel()
	only := entsignal.Only(name)
	var sent int
	if view.Mode(info) == entsignal.ModeFlushOrdered {
		sent, err = s.bus.FlushOrdered(ctx, only, entsignal.Wait(0), entsignal.HoldBack(flushHoldBack))
	} else {
		sent, err = s.bus.FlushMany(ctx, only)
	}
	s.expire(name)
	s.logAction(r, "flush", name, sent, err)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) { // the rest is left to the relay, or to the next one
		return view.Flush{Sent: sent, Failed: []view.Failure{}, Interrupted: true}, nil
	}
	if errors.Is(err, entsignal.ErrClosed) || errors.Is(err, entsignal.ErrUnbound) {
		return result, err
	}
	return view.NewFlush(sent, err), nil
}

// logAction logs what somebody did.
func (s *server) logAction(r *http.Request, action, name string, n int, err error, more ...slog.Attr) {
	user, _, _ := r.BasicAuth()
	attrs := append([]slog.Attr{slog.String("action", action), slog.String("signal", name), slog.Int("count", n),
		slog.String("remote", r.RemoteAddr), slog.String("user", cut(user, 100))}, more...)
	level := slog.LevelInfo
	if err != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("error", errorText(err)))
	}
	s.log.LogAttrs(r.Context(), level, "page: an action was taken", attrs...)
}
