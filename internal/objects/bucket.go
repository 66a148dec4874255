package objects

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// scheme is that of a bucket.
const scheme = "s3://"

// IsBucket reports whether a place is a bucket, and not the path of a folder.
func IsBucket(place string) bool { return strings.HasPrefix(place, scheme) }

// bucket is a store in a bucket, under a prefix that is empty or ends with a slash.
type bucket struct {
	client       *minio.Client
	name, prefix string
}

// openBucket reads s3://BUCKET/PREFIX. Region, endpoint and credentials are those of the
// environment, under the names that the programs of AWS read.
func openBucket(place string) (Store, error) {
	name, prefix, _ := strings.Cut(strings.TrimPrefix(place, scheme), "/")
	if name == "" || strings.ContainsAny(name, "?#@:") {
		return nil, fmt.Errorf("%q must be s3://BUCKET/PREFIX", place)
	}
	region := cmp.Or(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), "us-east-1")
	at, err := url.Parse(cmp.Or(os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"), "https://s3."+region+".amazonaws.com"))
	if err != nil || at.Host == "" || at.User != nil || at.Scheme != "https" && !isLoopback(at) {
		return nil, errors.New("AWS_ENDPOINT_URL must be an https URL")
	}
	client, err := minio.New(at.Host, &minio.Options{
		Secure: at.Scheme == "https", Region: region,
		Creds: credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{}}),
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", place, err)
	}
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	return &bucket{client, name, prefix}, nil
}

// isLoopback reports whether a URL is of this machine.
func isLoopback(u *url.URL) bool {
	address, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && address.IsLoopback())
}

// Names implements Store.
func (b *bucket) Names(ctx context.Context, of string) ([]string, error) {
	under := b.prefix
	if of != "" {
		under += of + "/"
	}
	var names []string
	for object := range b.client.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: under}) {
		if object.Err != nil {
			return nil, b.wrap("list", under, object.Err)
		}
		if object.Key != under { // an empty object that stands for the folder
			names = append(names, strings.TrimPrefix(object.Key, b.prefix))
		}
	}
	return names, ctx.Err()
}

// Put implements Store. The request is conditional, so of two writers one wins.
func (b *bucket) Put(ctx context.Context, name string, data []byte) error {
	of := minio.PutObjectOptions{DisableMultipart: true, SendContentMd5: true} // a bucket with Object Lock requires a checksum
	of.SetMatchETagExcept("*")
	_, err := b.client.PutObject(ctx, b.name, b.prefix+name, bytes.NewReader(data), int64(len(data)), of)
	if r := minio.ToErrorResponse(err); r.StatusCode == http.StatusPreconditionFailed || r.Code == "PreconditionFailed" {
		err = unlessSame(ctx, b, name, data)
	}
	return b.wrap("write", b.prefix+name, err)
}

// Get implements Store.
func (b *bucket) Get(ctx context.Context, name string) ([]byte, error) {
	object, err := b.client.GetObject(ctx, b.name, b.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, b.wrap("read", b.prefix+name, err)
	}
	defer object.Close() //nolint:errcheck // it was only read
	data, err := io.ReadAll(io.LimitReader(object, MaxSize+1))
	if err == nil && len(data) > MaxSize {
		err = fmt.Errorf("it has more than %d MiB", MaxSize>>20)
	}
	if err != nil {
		return nil, b.wrap("read", b.prefix+name, err)
	}
	return data, nil
}

func (b *bucket) wrap(doing, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s%s/%s: %w", doing, scheme, b.name, key, err)
}
