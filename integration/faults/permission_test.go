package faults

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
)

// newUser runs the script that the project ships, for an exchange, and returns
// the URL of the user whom it makes.
func newUser(t *testing.T, exchange string) string {
	t.Helper()
	const password = "typed-by-the-operator"
	content, err := os.ReadFile("../../examples/deploy/relay-rabbitmq.sh")
	require.NoError(t, err)
	user := "relay-" + uuid.NewString()
	text := regexp.MustCompile(`\brelay\b`).ReplaceAllString(string(content), user)
	text = regexp.MustCompile(`\^orders\$`).ReplaceAllLiteralString(text, "^"+exchange+"$")
	require.Contains(t, text, exchange)

	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	require.NoError(t, os.WriteFile(script, []byte(text), 0o700))
	require.NoError(t, own.WriteRabbitMQCtl(filepath.Join(dir, "rabbitmqctl")))
	cmd := exec.Command(script)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	cmd.Stdin = strings.NewReader(password + "\n")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.NotContains(t, string(out), password)

	u, err := url.Parse(own.AMQP)
	require.NoError(t, err)
	u.User = url.UserPassword(user, password)
	return u.String()
}

func TestRelayMayPublishToItsExchangesAndNothingElse(t *testing.T) {
	r := newRelay(t, newDatabase(t), own.AMQP) // declares, as a relay must not
	relayURL := newUser(t, r.exchange)
	relay := newRelay(t, newDatabase(t), relayURL)
	relay.exchange, relay.queue = r.exchange, r.queue
	const elsewhere = 4
	for name, spoil := range map[string]func(m *rabbitmq.Message){
		"another exchange":     func(m *rabbitmq.Message) { m.Exchange = "amq.topic" },
		"the default exchange": func(m *rabbitmq.Message) { m.Exchange, m.RoutingKey = "", r.queue },
	} {
		t.Run(name, func(t *testing.T) {
			relay.message = func(number int, m *rabbitmq.Message) {
				if number == elsewhere {
					spoil(m)
				}
			}
			relay.audit(t, 1, 6)
			n, err := relay.AuditLogged.FlushMany(ctx(t), entsignal.Burst(6))
			require.ErrorContains(t, err, "ACCESS_REFUSED")
			assert.False(t, entsignal.IsUnavailable(err) || entsignal.IsPermanent(err), "the operator can mend it")
			assert.Equal(t, 5, n)
			times := r.received(t)
			assert.Len(t, times, 5, "the others leave")
			assert.NotContains(t, times, "audit 4")
			assert.Equal(t, elsewhere, relay.AuditLogged.Query().OnlyX(ctx(t)).Number)

			relay.message = func(int, *rabbitmq.Message) {}
			n, err = relay.AuditLogged.FlushMany(ctx(t))
			require.NoError(t, err, "mended")
			assert.Equal(t, 1, n)
			assert.Equal(t, map[string]int{"audit 4": 1}, r.received(t))
		})
	}
	assert.Equal(t, 1, relay.log.Count("rabbitmq: connected"), "the connection survives")

	conn, err := amqp.Dial(relayURL)
	require.NoError(t, err)
	defer conn.Close()
	for what, do := range map[string]func(ch *amqp.Channel) error{
		"declare a queue": func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclare("mine", false, true, false, false, nil)
			return err
		},
		"declare an exchange": func(ch *amqp.Channel) error {
			return ch.ExchangeDeclare("mine", "direct", false, true, false, false, nil)
		},
		"bind a queue": func(ch *amqp.Channel) error { return ch.QueueBind(r.queue, "x", r.exchange, false, nil) },
		"read a queue": func(ch *amqp.Channel) error {
			_, _, err := ch.Get(r.queue, true)
			return err
		},
		"empty a queue": func(ch *amqp.Channel) error {
			_, err := ch.QueuePurge(r.queue, false)
			return err
		},
		"delete a queue": func(ch *amqp.Channel) error {
			_, err := ch.QueueDelete(r.queue, false, false, false)
			return err
		},
	} {
		ch, err := conn.Channel()
		require.NoError(t, err)
		var refused *amqp.Error
		require.ErrorAs(t, do(ch), &refused, what)
		assert.Equal(t, amqp.AccessRefused, refused.Code, what)
	}
}
