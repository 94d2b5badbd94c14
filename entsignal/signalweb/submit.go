package signalweb

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/secret"
)

// The forms of the page do what the API does, and lead back to the page.

// readForm reads which signals a form is about. Ids are escaped in forms, which change
// ends of lines.
func readForm(r *http.Request) (sel selection, _ error) {
	if err := r.ParseForm(); errors.As(err, new(*http.MaxBytesError)) {
		return sel, err
	} else if err != nil {
		return sel, &httpError{http.StatusBadRequest, "the form can't be read: " + err.Error()}
	}
	for _, text := range r.PostForm["id"] {
		id, err := url.PathUnescape(text)
		if err != nil {
			return sel, &httpError{http.StatusBadRequest, "the form has an id that can't be read"}
		}
		sel.IDs = append(sel.IDs, id)
	}
	switch which := r.PostForm.Get("which"); which {
	case "all":
		sel.All, sel.IDs = true, nil
	case "", "selected":
		if len(sel.IDs) == 0 {
			return sel, &httpError{http.StatusBadRequest, "no message is selected"}
		}
	default: // an error
		sel.ErrorID, sel.IDs = which, nil
	}
	return sel, sel.check()
}

func (s *server) submitRetry(w http.ResponseWriter, r *http.Request) error {
	sel, err := readForm(r)
	if err != nil {
		return err
	}
	n, err := s.repair(r, "retry", r.PathValue("name"), sel)
	if err != nil {
		return err
	}
	return s.did(w, r, "retry", n)
}

// confirmBody asks whether to discard signals.
type confirmBody struct {
	Signal  string
	Sel     selection
	Count   int
	Which   string
	Error   string // that they all have
	Shown   []entsignal.FailedSignal
	NotSaid bool // the name was not typed
}

// maxAsked is how many signals are shown before they are discarded.
const maxAsked = 20

// submitDiscard discards what the form says, if it says that this is confirmed, and
// asks otherwise.
func (s *server) submitDiscard(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	sel, err := readForm(r)
	if err != nil {
		return err
	}
	confirmed := r.PostForm.Get("confirmed") == "yes"
	named := !sel.All || r.PostForm.Get("name") == name
	if !confirmed || !named {
		return s.askToDiscard(w, r, name, sel, confirmed && !named)
	}
	n, err := s.repair(r, "discard", name, sel)
	if err != nil {
		return err
	}
	return s.did(w, r, "discard", n)
}

func (s *server) askToDiscard(w http.ResponseWriter, r *http.Request, name string, sel selection, notSaid bool) error {
	d, err := s.signalDetail(r.Context(), name)
	if err != nil {
		return err
	}
	body := confirmBody{Signal: name, Sel: sel, Which: "selected", NotSaid: notSaid}
	switch {
	case sel.All:
		body.Which = "all"
		for _, g := range d.FailedByError {
			body.Count += g.Count
		}
	case sel.ErrorID != "":
		body.Which = sel.ErrorID
		for _, g := range d.FailedByError {
			if g.ErrorID == sel.ErrorID {
				body.Count, body.Error = g.Count, g.Error
			}
		}
	default:
		body.Count = len(sel.IDs)
		for _, id := range sel.IDs[:min(len(sel.IDs), maxAsked)] {
			if m, err := s.bus.Lookup(r.Context(), name, id); err == nil {
				m.Error = secret.Redact(m.Error)
				body.Shown = append(body.Shown, m)
			}
		}
	}
	status := http.StatusOK
	if notSaid {
		status = http.StatusUnprocessableEntity
	}
	p := s.newPage(r, "Discard messages of "+visible(name), "signals")
	p.Body = body
	s.render(w, status, "confirm", p)
	return nil
}

func (s *server) submitFlush(w http.ResponseWriter, r *http.Request) error {
	result, err := s.flush(r, r.PathValue("name"))
	switch {
	case err != nil:
		return err
	case result.Interrupted:
		return s.did(w, r, "flush-more", result.Sent)
	case len(result.Failed) > 0 || result.Error != "":
		return s.did(w, r, "flush-failed", result.Sent)
	default:
		return s.did(w, r, "flush", result.Sent)
	}
}

// did leads back to the page of the type, which says what was done.
func (s *server) did(w http.ResponseWriter, r *http.Request, what string, n int) error {
	return redirect(w, signalLink(rootOf(r), r.PathValue("name"))+"?did="+what+"&n="+strconv.Itoa(n))
}
