package signalcli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/view"
)

func failed(signal string, err error) error { return &entsignal.FlushError{Signal: signal, Err: err} }

func TestResultOfWhatAFlushReturns(t *testing.T) {
	down := errors.New("down")
	for name, test := range map[string]struct {
		err  error
		text string
		json string
	}{
		"done": {nil, "7 signals sent\n", `{"sent":7,"failed":[],"interrupted":false}`},
		"two types fail": {errors.Join(failed("A", down), failed("B", down)), "7 signals sent, failed: A, B\n",
			`{"sent":7,"failed":[{"signal":"A","error":"down"},{"signal":"B","error":"down"}],"interrupted":false}`},
		"closed before it began": {entsignal.ErrClosed, "7 signals sent\n", `{"sent":7,"failed":[],"interrupted":false}`},
		"stopped": {errors.Join(failed("A", entsignal.ErrClosed), failed("B", fmt.Errorf("x: %w", entsignal.ErrClosed))),
			"7 signals sent\n", `{"sent":7,"failed":[],"interrupted":false}`},
		"stopped while it waited for its turn": {errors.Join(failed("A", errors.Join(entsignal.ErrBusy, entsignal.ErrClosed))),
			"7 signals sent\n", `{"sent":7,"failed":[],"interrupted":false}`},
		"stopped after a failure": {errors.Join(failed("A", errors.Join(down, entsignal.ErrClosed))), "7 signals sent, failed: A\n",
			`{"sent":7,"failed":[{"signal":"A","error":"down\nentsignal: the bus is closed"}],"interrupted":false}`},
		"busy": {errors.Join(failed("A", entsignal.ErrBusy)), "7 signals sent, failed: A\n",
			`{"sent":7,"failed":[{"signal":"A","error":"entsignal: another ordered flush is running"}],"interrupted":false}`},
		"of no type": {fmt.Errorf("<connect>: %w", context.Canceled), "7 signals sent, failed\n",
			`{"sent":7,"failed":[],"error":"<connect>: context canceled","interrupted":false}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newResult(7, test.err)
			var text, json bytes.Buffer
			require.NoError(t, r.print(&text, "text"))
			require.NoError(t, r.print(&json, "json"))
			assert.Equal(t, test.text, text.String())
			assert.Equal(t, test.json+"\n", json.String())
			if !r.ok() {
				assert.Equal(t, errors.Is(test.err, down), errors.Is(r.cause(), down), "the cause is within reach")
			} else {
				assert.NoError(t, r.cause())
			}
		})
	}
	var one bytes.Buffer
	require.NoError(t, result{Flush: view.Flush{Sent: 1, Interrupted: true}}.print(&one, "text"))
	assert.Equal(t, "1 signal sent, interrupted\n", one.String())

	one.Reset()
	some := result{Flush: view.Flush{Sent: 5, LeftOut: []view.LeftOut{{Signal: "A", Dead: 3}, {Signal: "B", Waiting: 4, Dead: 1}}}, ofThem: "shop signalbus failed"}
	require.NoError(t, some.print(&one, "text"))
	assert.Equal(t, "5 signals sent\nleft out: 4 dead and 4 waiting for the next attempt (A, B), see \"shop signalbus failed\"\n", one.String())
	assert.NoError(t, some.cause(), "nothing failed")
}

func TestRedactedErrorHasItsCause(t *testing.T) {
	cause := errors.New("amqp://u:p@h")
	assert.ErrorIs(t, redacted(cause), cause)
	assert.EqualError(t, redacted(cause), "amqp://***@h")
	assert.NoError(t, redacted(nil))
}
