package signalweb

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/secret"
	"github.com/entsignal/signalbus/internal/view"
)

const (
	// maxPage and defaultPage are how many failed signals one answer has.
	maxPage     = 1000
	defaultPage = 50
	// maxIDs is how many signals one request may name.
	maxIDs = 10000
)

// apiError is the answer of a request that failed.
type apiError struct {
	Error string `json:"error"`
}

func (s *server) getSignals(w http.ResponseWriter, r *http.Request) error {
	s.writeJSON(w, http.StatusOK, s.signals(r.Context()))
	return nil
}

func (s *server) getSignal(w http.ResponseWriter, r *http.Request) error {
	d, err := s.signalDetail(r.Context(), r.PathValue("name"))
	if err == nil {
		s.writeJSON(w, http.StatusOK, d)
	}
	return err
}

func (s *server) getFailed(w http.ResponseWriter, r *http.Request) error {
	limit, query := defaultPage, r.URL.Query()
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			return &httpError{http.StatusBadRequest, "limit: expected a whole number from 1 to " + strconv.Itoa(maxPage)}
		}
		limit = n
	}
	var after *string
	if query.Has("after") && query.Get("after") != "" {
		text := query.Get("after")
		after = &text
	}
	failed, err := s.failed(r, r.PathValue("name"), after, query.Get("error_id"), limit)
	if err != nil {
		return err
	}
	s.writeJSON(w, http.StatusOK, failed)
	return nil
}

// failed lists failed signals behind an id, of one error or of all.
func (s *server) failed(r *http.Request, name string, after *string, errorID string, limit int) ([]entsignal.FailedSignal, error) {
	opts := []entsignal.FlushOption{entsignal.Only(name), entsignal.AtMost(limit)}
	if after != nil {
		opts = append(opts, entsignal.After(*after))
	}
	if errorID != "" {
		text, err := s.errorOf(r.Context(), name, errorID)
		if err != nil {
			return nil, err
		}
		opts = append(opts, entsignal.ErrorText(text))
	}
	failed, err := s.bus.Failed(r.Context(), opts...)
	for i := range failed {
		failed[i].Error = secret.Redact(failed[i].Error)
	}
	return append([]entsignal.FailedSignal{}, failed...), err
}

// message is one signal, its failures, and its fields if they may be shown.
type message struct {
	entsignal.FailedSignal
	Fields      map[string]json.RawMessage `json:"fields,omitempty"`
	FieldsError string                     `json:"fields_error,omitempty"`
}

func (s *server) getMessage(w http.ResponseWriter, r *http.Request) error {
	m, err := s.message(r, r.PathValue("name"), r.PathValue("id"))
	if err == nil {
		s.writeJSON(w, http.StatusOK, m)
	}
	return err
}

func (s *server) message(r *http.Request, name, id string) (m message, err error) {
	if m.FailedSignal, err = s.bus.Lookup(r.Context(), name, id); err != nil {
		return m, err
	}
	m.Error = secret.Redact(m.Error)
	if !s.showFields {
		return m, nil
	}
	entity, err := s.bus.Show(r.Context(), name, id)
	if err == nil {
		m.Fields, err = view.Fields(entity)
	}
	if errors.Is(err, entsignal.ErrNoSignal) {
		return m, err // it was sent in between
	}
	if err != nil {
		m.FieldsError = errorText(err)
	}
	return m, nil
}

// selection is the signals that an action is about: just one of its fields is set.
type selection struct {
	IDs     []string `json:"ids"`
	All     bool     `json:"all"`
	ErrorID string   `json:"error_id"`
}

func (sel selection) check() error {
	set := 0
	for _, is := range []bool{len(sel.IDs) > 0, sel.All, sel.ErrorID != ""} {
		if is {
			set++
		}
	}
	switch {
	case set != 1:
		return &httpError{http.StatusBadRequest, `expected one of {"ids":["17"]}, {"all":true} and {"error_id":"…"}`}
	case len(sel.IDs) > maxIDs:
		return &httpError{http.StatusBadRequest, "too many ids; expected at most " + strconv.Itoa(maxIDs)}
	default:
		return nil
	}
}

// readJSON reads the body of a request, which may be empty.
func readJSON(r *http.Request, v any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return &httpError{http.StatusUnsupportedMediaType, "expected the content type application/json"}
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more behind the object")
		}
	}
	if err == nil || errors.As(err, new(*http.MaxBytesError)) {
		return err
	}
	return &httpError{http.StatusBadRequest, "the body is not what was expected: " + err.Error()}
}

func (s *server) postRetry(w http.ResponseWriter, r *http.Request) error {
	return s.postRepair(w, r, "retry")
}

func (s *server) postDiscard(w http.ResponseWriter, r *http.Request) error {
	return s.postRepair(w, r, "discard")
}

func (s *server) postRepair(w http.ResponseWriter, r *http.Request, action string) error {
	var sel selection
	if err := readJSON(r, &sel); err != nil {
		return err
	}
	n, err := s.repair(r, action, r.PathValue("name"), sel)
	if err != nil {
		return err
	}
	s.writeJSON(w, http.StatusOK, view.Repaired{Signal: r.PathValue("name"), Count: n})
	return nil
}

func (s *server) postFlush(w http.ResponseWriter, r *http.Request) error {
	result, err := s.flush(r, r.PathValue("name"))
	if err == nil {
		s.writeJSON(w, http.StatusOK, result)
	}
	return err
}

func (s *server) getRelay(w http.ResponseWriter, _ *http.Request) error {
	s.writeJSON(w, http.StatusOK, s.relay())
	return nil
}
