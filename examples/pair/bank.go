package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/go-sql-driver/mysql"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/pqconn"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/examples/pair/ent"
)

// The banks. Their names are also the AppId of their messages, the source by which the
// inbox tells the messages of one from those of the other.
const (
	north = "north"
	south = "south"
)

// bank is one of the two services.
type bank struct {
	name      string
	client    *ent.Client
	bus       *entsignal.Bus
	publisher *rabbitmq.Publisher
	consumer  *rabbitmq.Consumer
}

// open returns the bank of this name. It connects to nothing yet.
func open(log *slog.Logger, name string) (*bank, error) {
	log = log.With("bank", name)
	driver, err := openDatabase(name)
	if err != nil {
		return nil, err
	}
	amqpURL, err := required("AMQP_URL")
	if err != nil {
		return nil, errors.Join(err, driver.Close())
	}
	b := &bank{name: name}
	if b.publisher, err = rabbitmq.NewPublisher(amqpURL, rabbitmq.WithAppID(name), rabbitmq.WithLogger(log)); err != nil {
		return nil, errors.Join(fmt.Errorf("AMQP_URL: %w", err), driver.Close())
	}
	b.consumer, err = rabbitmq.NewConsumer(amqpURL, queue(name), b.receive, rabbitmq.WithWorkers(4), rabbitmq.WithLogger(log))
	if err == nil {
		b.bus, err = ent.NewSignalBus(ent.SignalSenders{
			MoneySent:     rabbitmq.Sender(b.publisher, encodeSent),
			MoneyAnswered: rabbitmq.Sender(b.publisher, encodeAnswered),
		}, entsignal.WithLogger(log))
	}
	if err != nil {
		return nil, errors.Join(err, b.publisher.Close(context.Background()), driver.Close())
	}
	b.client = ent.NewClient(ent.Driver(driver), ent.WithSignalBus(b.bus))
	return b, nil
}

// close ends the bank in the order in which its parts need each other.
func (b *bank) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(b.bus.Close(ctx), b.publisher.Close(ctx), b.client.Close())
}

// The variables that name the databases.
const (
	northVariable = "NORTH_DATABASE_URL"
	southVariable = "SOUTH_DATABASE_DSN"
)

func openDatabase(name string) (*entsql.Driver, error) {
	if name == north {
		url, err := required(northVariable)
		if err != nil {
			return nil, err
		}
		db, err := pqconn.Open(url, pqconn.WithStatementCache(100))
		if err != nil {
			return nil, fmt.Errorf(northVariable+": %w", err)
		}
		return entsql.OpenDB(dialect.Postgres, db), nil
	}
	dsn, err := required(southVariable)
	if err != nil {
		return nil, err
	}
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, errBadDSN
	}
	cfg.ParseTime = true
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = 5*time.Second, 30*time.Second, 10*time.Second // on a dead network
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf(southVariable+": %w", err)
	}
	return entsql.OpenDB(dialect.MySQL, sql.OpenDB(connector)), nil
}

// The driver's own error may show the password.
var errBadDSN = errors.New(southVariable + ": want user:password@tcp(host:port)/database")

// required returns the value of an environment variable. No error shows the value,
// because it has a password in it.
func required(name string) (string, error) {
	value := os.Getenv(name)
	if value == "" {
		return "", fmt.Errorf("%s is not set; see pair/README.md", name)
	}
	return value, nil
}
