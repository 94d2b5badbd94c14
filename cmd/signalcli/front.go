package signalcli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/signalmetrics"
	"github.com/entsignal/signalbus/entsignal/signalweb"
)

// readyTimeout bounds how long /readyz waits for the database.
const readyTimeout = 2 * time.Second

// front is what a relay serves by HTTP.
type front struct {
	stopping context.Context
	open     atomic.Pointer[opened] // nil: the bus isn't open
	server   *http.Server           // nil: it serves nothing
	addr     string
	page     []signalweb.Option
	done     chan struct{}
}

// opened is a bus that is open, its metrics and its page.
type opened struct {
	bus     *entsignal.Bus
	metrics http.Handler
	page    http.Handler
}

// newFront serves at an address, which may be empty.
func newFront(stopping context.Context, address string, log *slog.Logger) (*front, error) {
	f := &front{stopping: stopping}
	if address == "" {
		return f, nil
	}
	if strings.HasPrefix(address, ":") { // what is on the network is to be asked for
		address = "127.0.0.1" + address
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	f.addr = listener.Addr().String()
	f.server = &http.Server{
		Handler:           f.mux(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	f.done = make(chan struct{})
	go func() {
		defer close(f.done)
		if err := f.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("serving HTTP failed", "error", err.Error())
		}
	}()
	return f, nil
}

// mux has all paths.
func (f *front) mux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", f.health)
	mux.HandleFunc("GET /readyz", f.ready)
	mux.HandleFunc("GET /metrics", f.metrics)
	mux.HandleFunc("/", f.showPage)
	mux.HandleFunc("GET "+eventsPath, f.events)
	return mux
}

// serves sets the bus that the answers are about, before it is used.
func (f *front) serves(bus *entsignal.Bus) {
	if f.server != nil {
		f.open.Store(&opened{bus: bus, metrics: signalmetrics.Handler(bus), page: signalweb.Handler(bus, f.page...)})
	}
}

// leaves says that the bus is about to be closed.
func (f *front) leaves() { f.open.Store(nil) }

// listens returns the address, or nothing.
func (f *front) listens() string { return f.addr }

// close ends the service.
func (f *front) close() {
	if f.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	if f.server.Shutdown(ctx) != nil {
		_ = f.server.Close()
	}
	<-f.done
}

// health answers whether the loops move.
func (f *front) health(w http.ResponseWriter, _ *http.Request) {
	open := f.open.Load()
	if open == nil {
		answer(w, http.StatusOK, "starting, or stopping")
		return
	}
	if stuck := open.bus.RunState().Stuck(); len(stuck) > 0 {
		answer(w, http.StatusServiceUnavailable, "stuck: "+strings.Join(stuck, ", "))
		return
	}
	answer(w, http.StatusOK, "ok")
}

// ready answers whether the relay works and the database answers.
func (f *front) ready(w http.ResponseWriter, r *http.Request) {
	open := f.open.Load()
	switch {
	case f.stopping.Err() != nil:
		answer(w, http.StatusServiceUnavailable, "stopping")
		return
	case open == nil:
		answer(w, http.StatusServiceUnavailable, "starting")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if open.bus.Ping(ctx) != nil { // why is for the log: anybody may ask here
		answer(w, http.StatusServiceUnavailable, "the database doesn't answer")
		return
	}
	answer(w, http.StatusOK, "ok")
}

// metrics answers with the metrics of the bus.
func (f *front) metrics(w http.ResponseWriter, r *http.Request) {
	open := f.open.Load()
	if open == nil {
		answer(w, http.StatusServiceUnavailable, "starting, or stopping")
		return
	}
	open.metrics.ServeHTTP(w, r)
}

// showPage answers with the page and its API.
func (f *front) showPage(w http.ResponseWriter, r *http.Request) {
	open := f.open.Load()
	if open == nil {
		answer(w, http.StatusServiceUnavailable, "starting, or stopping")
		return
	}
	open.page.ServeHTTP(w, r)
}

// eventsPath is the path of the page's events.
const eventsPath = "/api/v1/events"

// events answers with the events of the page, until the relay is to stop.
func (f *front) events(w http.ResponseWriter, r *http.Request) {
	ctx, end := context.WithCancel(r.Context())
	defer end()
	defer context.AfterFunc(f.stopping, end)()
	f.showPage(w, r.WithContext(ctx))
}

func answer(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}
