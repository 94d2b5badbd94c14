package rabbitmq

import (
	neturl "net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/internal/faultproxy"
)

func TestSenderKeepsToTheContract(t *testing.T) {
	entsignaltest.TestSender(t, entsignaltest.SenderCase{
		Publishes: true,
		Open: func(t testing.TB) entsignaltest.SenderUnderTest {
			a := newAdmin(t)
			queue := a.queue(nil)
			proxy, url := faultproxy.ForURL(t, brokerURL(t), "5672")
			p := newPublisher(t, url, WithDialTimeout(time.Second))
			broker, err := neturl.Parse(brokerURL(t))
			require.NoError(t, err)
			var got []entsignaltest.Received
			return entsignaltest.SenderUnderTest{
				Sender: Sender(p, func(s *entsignaltest.Signal) (Message, error) {
					return Message{RoutingKey: queue, Body: []byte(s.Text)}, s.Fail
				}),
				Received: func(testing.TB) []entsignaltest.Received {
					for _, d := range a.take(queue) {
						got = append(got, entsignaltest.Received{Text: string(d.Body), MessageID: d.MessageId})
					}
					return got
				},
				Away: func(testing.TB) (back func()) {
					proxy.Redirect("127.0.0.1:1")
					proxy.Cut()
					return func() { proxy.Redirect(broker.Host) }
				},
				Hang: func(testing.TB) (release func()) {
					end := proxy.Fade(false, true)
					return func() { end() }
				},
			}
		},
	})
}

func TestSenderOfARecorderKeepsToTheContract(t *testing.T) {
	entsignaltest.TestSender(t, entsignaltest.SenderCase{
		Publishes: true,
		Open: func(t testing.TB) entsignaltest.SenderUnderTest {
			p, broker, err := NewRecorder()
			require.NoError(t, err)
			return entsignaltest.SenderUnderTest{
				Sender: Sender(p, func(s *entsignaltest.Signal) (Message, error) {
					return Message{RoutingKey: "signals", Body: []byte(s.Text)}, s.Fail
				}),
				Received: func(testing.TB) (got []entsignaltest.Received) {
					for _, m := range broker.Messages() {
						got = append(got, entsignaltest.Received{Text: string(m.Body), MessageID: m.MessageID})
					}
					return got
				},
			}
		},
	})
}
