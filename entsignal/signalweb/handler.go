package signalweb

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/secret"
)

//go:embed static templates openapi.json
var files embed.FS

// Handler serves the page and the JSON API of a bus, below the root of its paths; use
// [http.StripPrefix] to serve it elsewhere. It watches the bus from now on, so make one
// for each bus. It panics if bus is nil.
//
// Requests that change something must come from the page itself or from something that
// is no browser (see [http.CrossOriginProtection]).
func Handler(bus *entsignal.Bus, opts ...Option) http.Handler {
	if bus == nil {
		panic("signalweb: Handler: the bus is nil")
	}
	s := &server{
		settings: settings{
			authorize: func(*http.Request) Access { return ReadOnly },
			log:       slog.New(slog.DiscardHandler),
		},
		bus:     bus,
		since:   time.Now(),
		history: newHistory(bus.Signals(), time.Now),
		cross:   http.NewCrossOriginProtection(),
		pages:   parsePages(),
		types:   make(map[string]*looked),
		streams: make(chan struct{}, maxStreams),
	}
	for _, o := range opts {
		o.set(&s.settings)
	}
	for _, info := range bus.Signals() {
		s.types[info.Name] = &looked{}
	}
	bus.AddObserver(s.history)
	s.mux = s.routes()
	return s
}

// server is the handler.
type server struct {
	settings
	bus     *entsignal.Bus
	since   time.Time // when it began to watch
	history *history
	cross   *http.CrossOriginProtection
	pages   map[string]*template.Template
	types   map[string]*looked // what the database has told of each type
	streams chan struct{}      // one element for each stream of events
	mux     *http.ServeMux
}

// routes has all paths. What each needs of access is said here.
func (s *server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	read := func(path string, h func(http.ResponseWriter, *http.Request) error) {
		mux.HandleFunc("GET "+path, s.answer(ReadOnly, h))
	}
	act := func(path string, h func(http.ResponseWriter, *http.Request) error) {
		mux.HandleFunc("POST "+path, s.answer(Full, h))
	}
	post := func(path string, h func(http.ResponseWriter, *http.Request) error) {
		act(path, h)
		read(path, onlyPost) // otherwise GET would find no such page
	}
	read("/{$}", s.showSignals)
	read("/signals/{name}", s.showSignal)
	read("/signals/{name}/{$}", s.showMessage) // ?id=
	read("/signals/{name}/{id}", s.showMessage)
	read("/relay", s.showRelay)
	read("/sign-in", s.signIn)
	act("/signals/{name}/retry", s.submitRetry)
	act("/signals/{name}/discard", s.submitDiscard)
	act("/signals/{name}/flush", s.submitFlush)
	read("/api/v1/signals", s.getSignals)
	read("/api/v1/signals/{name}", s.getSignal)
	read("/api/v1/signals/{name}/failed", s.getFailed)
	read("/api/v1/signals/{name}/messages/{id}", s.getMessage)
	post("/api/v1/signals/{name}/retry", s.postRetry)
	post("/api/v1/signals/{name}/discard", s.postDiscard)
	post("/api/v1/signals/{name}/flush", s.postFlush)
	read("/api/v1/relay", s.getRelay)
	read("/api/v1/events", s.getEvents)
	read("/api/v1/openapi.json", s.getFile("openapi.json", "application/json"))
	read("/static/page.css", s.getFile("static/page.css", "text/css; charset=utf-8"))
	read("/static/page.js", s.getFile("static/page.js", "text/javascript; charset=utf-8"))
	read("/static/icon.svg", s.getFile("static/icon.svg", "image/svg+xml"))
	read("/", func(http.ResponseWriter, *http.Request) error {
		return &httpError{http.StatusNotFound, "there is no such page"}
	})
	return mux
}

func onlyPost(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Allow", http.MethodPost)
	return &httpError{http.StatusMethodNotAllowed, "this path takes POST requests only"}
}

// policy is the Content-Security-Policy of everything.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// ServeHTTP implements [http.Handler].
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	s.mux.ServeHTTP(w, r)
}

// accessKey is the key of a request's access in its context.
type accessKey struct{}

func accessOf(r *http.Request) Access {
	a, _ := r.Context().Value(accessKey{}).(Access)
	return a
}

// httpError is an error with its status and what to tell about it.
type httpError struct {
	status int
	text   string
}

func (e *httpError) Error() string { return e.text }

// maxBody bounds the body of a request.
const maxBody = 1 << 20

// answer adapts a function for the mux: it checks the access, and answers with the
// error that the function returns.
func (s *server) answer(least Access, h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		access := s.authorize(r)
		r = r.WithContext(context.WithValue(r.Context(), accessKey{}, access))
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		err := s.permit(w, r, access, least)
		if err == nil {
			err = h(w, r)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	}
}

// permit returns why a request may not do what it asks for.
func (s *server) permit(w http.ResponseWriter, r *http.Request, access, least Access) error {
	switch {
	case s.cross.Check(r) != nil:
		return &httpError{http.StatusForbidden, "this request came from another site"}
	case access >= least:
		return nil
	case access <= None:
		return &httpError{http.StatusForbidden, "you may not see this"}
	case s.token:
		s.challenge(w)
		return &httpError{http.StatusUnauthorized, "this needs the admin token"}
	default:
		return &httpError{http.StatusForbidden, "this page is read-only for you"}
	}
}

func (s *server) challenge(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Basic realm="signalbus: any user name, and the admin token as the password", charset="UTF-8"`)
}

// statusOf returns the status of an error.
func statusOf(err error) int {
	var (
		own     *httpError
		tooLong *http.MaxBytesError
	)
	switch {
	case errors.As(err, &own):
		return own.status
	case errors.As(err, &tooLong):
		return http.StatusRequestEntityTooLarge
	case errors.As(err, new(*entsignal.UnknownSignalError)), errors.Is(err, entsignal.ErrNoSignal):
		return http.StatusNotFound
	case errors.As(err, new(*entsignal.InvalidIDError)):
		return http.StatusBadRequest
	case errors.Is(err, entsignal.ErrNoRetry):
		return http.StatusConflict
	case errors.Is(err, entsignal.ErrClosed), errors.Is(err, entsignal.ErrUnbound), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// fail answers with an error.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, text := statusOf(err), cut(secret.Redact(err.Error()), maxText)
	if strings.HasPrefix(r.URL.Path, "/api/") {
		s.writeJSON(w, status, apiError{text})
		return
	}
	p := s.newPage(r, fmt.Sprintf("%d %s", status, http.StatusText(status)), "")
	p.Body = text
	s.render(w, status, "error", p)
}

// writeJSON answers with v.
func (s *server) writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // who has left misses it
}

// getFile serves an embedded file.
func (s *server) getFile(name, contentType string) func(http.ResponseWriter, *http.Request) error {
	data, err := files.ReadFile(name)
	return func(w http.ResponseWriter, _ *http.Request) error {
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(data)
		return nil
	}
}
