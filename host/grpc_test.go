package host

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The alternatives that a signed call is measured against: a unary gRPC call that hands a payload to a Go function and
// returns what it makes of it.

const grpcMethod = "/bench.Function/Call"

// startGRPC serves answer on l and returns a function that makes one call.
func startGRPC(tb testing.TB, l net.Listener, target string, server, client credentials.TransportCredentials,
	answer func([]byte) []byte) func([]byte) []byte {
	s := grpc.NewServer(grpc.Creds(server))
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "bench.Function",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Call",
			Handler: func(_ any, _ context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				var in wrapperspb.BytesValue
				if err := dec(&in); err != nil {
					return nil, err
				}
				return &wrapperspb.BytesValue{Value: answer(in.Value)}, nil
			}}},
	}, new(any))
	go s.Serve(l)
	tb.Cleanup(s.Stop)
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(client))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return func(body []byte) []byte {
		var out wrapperspb.BytesValue
		if err := conn.Invoke(context.Background(), grpcMethod, &wrapperspb.BytesValue{Value: body}, &out); err != nil {
			tb.Fatal(err)
		}
		return out.Value
	}
}

// grpcUnix is gRPC without TLS over a unix socket.
func grpcUnix(tb testing.TB, answer func([]byte) []byte) func([]byte) []byte {
	path := filepath.Join(tb.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		tb.Fatal(err)
	}
	plain := insecure.NewCredentials()
	return startGRPC(tb, l, "unix://"+path, plain, plain, answer)
}

// grpcMutualTLS is gRPC over TCP on loopback with mutual TLS 1.3.
func grpcMutualTLS(tb testing.TB, answer func([]byte) []byte) func([]byte) []byte {
	cert, pool := selfSigned(tb)
	config := &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, ClientCAs: pool, MinVersion: tls.VersionTLS13,
		ClientAuth: tls.RequireAndVerifyClientCert, ServerName: "localhost"}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	creds := credentials.NewTLS(config)
	return startGRPC(tb, l, l.Addr().String(), creds, creds, answer)
}

func selfSigned(tb testing.TB) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, IsCA: true,
		BasicConstraintsValid: true, DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Minute),
		NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}
