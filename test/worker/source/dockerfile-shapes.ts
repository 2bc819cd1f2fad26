/**
 * Dockerfiles as people write them, with what an engine takes from registries for them. Hosts that are named here stand for the
 * registry of a test, and this digest for the one of its image.
 */
export interface DockerfileShape {
  readonly what: string;
  readonly text: string;
  /** What is reported as the base of the stage that is built. */
  readonly base: string;
  /** What is pulled, `base` first. */
  readonly images: readonly string[];
  /** Those of the images that BuildKit asks nobody for, as the stage that is built needs nothing of theirs. */
  readonly unneeded?: readonly string[];
  /** Whether the engine must ask for more than can be read. */
  readonly uncertain?: true;
  /** Whether only frontends newer than the one in Docker 20.10 read it. */
  readonly newer?: true;
  readonly buildArgs?: Readonly<Record<string, string>>;
  readonly target?: string;
}

export const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;
export const HOSTS: readonly string[] = [
  'quay.io',
  'localhost:5000',
  '10.0.0.1:5000',
  'ghcr.io',
  'mcr.microsoft.com',
  'registry.example.com:5000',
];

/** One trait each. */
export const traits: readonly DockerfileShape[] = [
  { what: 'one stage', text: 'FROM busybox\nRUN true\n', base: 'busybox:latest', images: ['busybox:latest'] },
  { what: 'a tag', text: 'FROM node:24-slim', base: 'node:24-slim', images: ['node:24-slim'] },
  {
    what: 'a host with a port',
    text: 'FROM localhost:5000/a/b:1\n',
    base: 'localhost:5000/a/b:1',
    images: ['localhost:5000/a/b:1'],
  },
  {
    what: 'a host with a port and no tag',
    text: 'FROM 10.0.0.1:5000/a\n',
    base: '10.0.0.1:5000/a:latest',
    images: ['10.0.0.1:5000/a:latest'],
  },
  {
    what: 'a digest',
    text: `FROM quay.io/a/b@${DIGEST}`,
    base: `quay.io/a/b@${DIGEST}`,
    images: [`quay.io/a/b@${DIGEST}`],
  },
  { what: 'a tag and a digest', text: `FROM a:1@${DIGEST}`, base: `a@${DIGEST}`, images: [`a@${DIGEST}`] },
  { what: 'scratch', text: 'FROM scratch\nCOPY x /\n', base: 'scratch', images: [] },
  {
    what: 'lower case, CRLF and a byte order mark',
    text: '\uFEFFfrom a as b\r\nrun x\r\n',
    base: 'a:latest',
    images: ['a:latest'],
  },
  {
    what: 'several stages: the last one is the base',
    text: 'FROM golang:1 AS build\nRUN go build\nFROM alpine:3\nCOPY --from=build /x /x\n',
    base: 'alpine:3',
    images: ['alpine:3', 'golang:1'],
  },
  {
    what: 'stages on stages: the base is the one at the bottom',
    text: 'FROM node:24 AS base\nFROM base AS deps\nFROM other AS x\nFROM deps\n',
    base: 'node:24',
    images: ['node:24', 'other:latest'],
    unneeded: ['other:latest'],
  },
  {
    what: 'a stage in capitals, which the classic builder and newer frontends find',
    text: 'FROM node:24 AS deps\nFROM DEPS\n',
    base: 'node:24',
    images: ['node:24'],
    newer: true,
  },
  {
    what: 'a stage that hides an image of its name',
    text: 'FROM alpine AS alpine\nFROM alpine\n',
    base: 'alpine:latest',
    images: ['alpine:latest'],
  },
  {
    what: 'scratch with a helper',
    text: 'FROM go AS b\nFROM scratch\nCOPY --from=b / /\n',
    base: 'scratch',
    images: ['go:latest'],
  },
  { what: 'ARG with a default', text: 'ARG TAG=1.2\nFROM a:${TAG}\n', base: 'a:1.2', images: ['a:1.2'] },
  {
    what: 'ARG in quotes',
    text: 'ARG IMAGE="quay.io/a/b:1"\nFROM $IMAGE\n',
    base: 'quay.io/a/b:1',
    images: ['quay.io/a/b:1'],
  },
  { what: "ARG in the shell's other quotes", text: "ARG TAG='1'\nFROM a:$TAG", base: 'a:1', images: ['a:1'] },
  {
    what: 'ARG made of ARGs',
    text: 'ARG V=3\nARG I=alpine:${V}\nFROM ${I}\n',
    base: 'alpine:3',
    images: ['alpine:3'],
  },
  { what: 'several in one ARG', text: 'ARG A=x B=2\nFROM $A:$B', base: 'x:2', images: ['x:2'] },
  { what: '${X:-y} without a value', text: 'ARG TAG\nFROM a:${TAG:-7}\n', base: 'a:7', images: ['a:7'] },
  { what: '${X:-y} with a value', text: 'ARG TAG=1\nFROM a:${TAG:-7}\n', base: 'a:1', images: ['a:1'] },
  { what: '${X:-y} never declared', text: 'FROM a:${TAG:-7}\n', base: 'a:7', images: ['a:7'] },
  {
    what: '${X:+y} with a value',
    text: 'ARG SLIM=1\nFROM a:1${SLIM:+-slim}\n',
    base: 'a:1-slim',
    images: ['a:1-slim'],
  },
  {
    what: '${X:+y} without a value',
    text: 'ARG SLIM=\nFROM a:1${SLIM:+-slim}\n',
    base: 'a:1',
    images: ['a:1'],
  },
  {
    what: '${X-y} with an empty value',
    text: 'ARG T=\nFROM a${T-:7}\n',
    base: 'a:latest',
    images: ['a:latest'],
    newer: true,
  },
  { what: '${X:-${Y}}', text: 'ARG Y=9\nFROM a:${X:-${Y:-8}}\n', base: 'a:9', images: ['a:9'] },
  { what: 'a later ARG wins', text: 'ARG T=1\nARG T=2\nFROM a:$T', base: 'a:2', images: ['a:2'] },
  {
    what: 'an ARG in a stage does not count',
    text: 'ARG T=1\nFROM a\nARG T=2\nFROM b:$T',
    base: 'b:1',
    images: ['b:1', 'a:latest'],
    unneeded: ['a:latest'],
  },
  {
    what: '--platform',
    text: 'FROM --platform=$BUILDPLATFORM a:1 AS x\nFROM --platform=linux/arm64 b\n',
    base: 'b:latest',
    images: ['b:latest', 'a:1'],
    unneeded: ['a:1'],
  },
  {
    what: 'lines that go on',
    text: 'FROM \\\n  a:1 \\\n  # a comment\n  AS x\nRUN y\n',
    base: 'a:1',
    images: ['a:1'],
  },
  {
    what: 'an escape of its own',
    text: '# escape=`\nFROM a\nRUN c:\\x\\\nFROM b `\n AS c\n',
    base: 'b:latest',
    images: ['b:latest', 'a:latest'],
    unneeded: ['a:latest'],
  },
  {
    what: 'a syntax of Docker',
    text: '# syntax=docker/dockerfile:1.7\nFROM a\n',
    base: 'a:latest',
    images: ['a:latest'],
  },
  {
    what: 'comments and blank lines first',
    text: '# hello\n\n  # there\nFROM a\n',
    base: 'a:latest',
    images: ['a:latest'],
  },
  {
    what: 'COPY --from an image',
    text: 'FROM a\nCOPY --from=nginx:1 /etc /etc\n',
    base: 'a:latest',
    images: ['a:latest', 'nginx:1'],
  },
  {
    what: 'COPY --from with other flags',
    text: 'FROM a\nCOPY --chown=1:1 --from=q/z --link x /\n',
    base: 'a:latest',
    images: ['a:latest', 'q/z:latest'],
    newer: true,
  },
  {
    what: 'COPY --from a number',
    text: 'FROM a\nFROM b\nCOPY --from=0 / /\n',
    base: 'b:latest',
    images: ['b:latest', 'a:latest'],
  },
  {
    what: 'RUN --mount from an image, and from a stage',
    text: 'FROM b AS s\nFROM a\nRUN --mount=type=bind,from=img:1,target=/x --mount=from=s,target=/y --mount=type=cache,target=/z x\n',
    base: 'a:latest',
    images: ['a:latest', 'b:latest', 'img:1'],
  },
  {
    what: 'heredocs',
    text: 'FROM a\nRUN <<EOF\nFROM b\nEOF\nCOPY <<-"X" <<Y /d/\nFROM c\n\tX\nCOPY --from=d x y\nY\nCOPY --from=e x y\n',
    base: 'a:latest',
    images: ['a:latest', 'e:latest'],
    newer: true,
  },
  {
    what: 'ONBUILD',
    text: 'FROM a\nONBUILD COPY --from=b x y\nONBUILD RUN --mount=from=c x\n',
    base: 'a:latest',
    images: ['a:latest'],
  },
  {
    what: 'FROM in a RUN',
    text: 'FROM a\nRUN echo \\\n FROM b && \\\n\n  x\n',
    base: 'a:latest',
    images: ['a:latest'],
  },
  {
    what: 'one image by several names',
    text: 'FROM docker.io/library/a AS x\nFROM index.docker.io/library/a:latest AS y\nFROM a',
    base: 'a:latest',
    images: ['a:latest'],
  },
  {
    what: 'what the engine sets',
    text: 'FROM a:$TARGETARCH',
    base: 'a:$TARGETARCH:latest',
    images: [],
    uncertain: true,
  },
  {
    what: 'a default for what the engine sets',
    text: 'ARG TARGETARCH=arm\nFROM a:$TARGETARCH',
    base: 'a:$TARGETARCH:latest',
    images: [],
    uncertain: true,
  },
  {
    what: 'a name that becomes readable',
    text: 'ARG T=${A#b}\nARG T=2\nFROM a:$T',
    base: 'a:2',
    images: ['a:2'],
  },
  {
    what: 'what the engine sets, in an ARG',
    text: 'ARG TARGETARCH\nARG I=a:$TARGETARCH\nFROM ${I}',
    base: '${I}:latest',
    images: [],
    uncertain: true,
  },
  {
    what: 'a substitution of newer frontends',
    text: 'ARG T=v1\nFROM b AS b\nFROM a:${T#v}',
    base: 'a:${T#v}:latest',
    images: ['b:latest'],
    uncertain: true,
    newer: true,
  },
  {
    what: 'a variable in COPY --from',
    text: 'FROM a\nCOPY --from=$X / /\n',
    base: 'a:latest',
    images: ['a:latest'],
    uncertain: true,
    newer: true,
  },
  {
    what: 'a frontend of someone else',
    text: '# syntax=corp/frontend:2\nkind: Image\n',
    base: 'corp/frontend:2:latest',
    images: [],
    uncertain: true,
  },
];

/** Whole ones, of the kinds that are met most. */
export const wholes: readonly DockerfileShape[] = [
  {
    what: 'Go: modules first, a static binary in scratch',
    text: `# syntax=docker/dockerfile:1
ARG GO_VERSION=1.23
ARG ALPINE_VERSION=3.20

FROM --platform=$BUILDPLATFORM golang:\${GO_VERSION}-alpine\${ALPINE_VERSION} AS build
ARG TARGETOS
ARG TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/root/.cache/go-build \\
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \\
    go build -trimpath -ldflags="-s -w" -o /out/app ./cmd/app

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/app /app
USER 65532:65532
ENTRYPOINT ["/app"]
`,
    base: 'scratch',
    images: ['golang:1.23-alpine3.20'],
  },
  {
    what: 'Node: dependencies, build and runtime on one base',
    text: `FROM node:22-bookworm-slim AS base
ENV PNPM_HOME="/pnpm" \\
    # what comes after this line goes on
    PATH="/pnpm:$PATH"
RUN corepack enable

FROM base AS deps
WORKDIR /app
COPY package.json pnpm-lock.yaml ./
RUN pnpm install --frozen-lockfile

FROM deps AS build
COPY . .
RUN pnpm run build

FROM base AS runner
ENV NODE_ENV=production
COPY --from=deps --chown=node:node /app/node_modules ./node_modules
COPY --from=build --chown=node:node /app/dist ./dist
HEALTHCHECK --interval=30s CMD ["node", "healthcheck.js"]
CMD ["node", "dist/server.js"]
`,
    base: 'node:22-bookworm-slim',
    images: ['node:22-bookworm-slim'],
  },
  {
    what: 'Java: Maven, then a JRE of another registry, both pinned',
    text: `FROM docker.io/library/maven:3.9-eclipse-temurin-21@${DIGEST} AS build
WORKDIR /workspace
COPY pom.xml .
RUN mvn -B dependency:go-offline
COPY src src
RUN mvn -B package -DskipTests

FROM quay.io/openjdk/jre@${DIGEST}
COPY --from=build /workspace/target/*.jar /app.jar
ENTRYPOINT ["java","-jar","/app.jar"]
`,
    base: `quay.io/openjdk/jre@${DIGEST}`,
    images: [`quay.io/openjdk/jre@${DIGEST}`, `docker.io/library/maven@${DIGEST}`],
  },
  {
    what: 'Rust: a plan, its dependencies, then the program',
    text: `FROM rust:1.80 AS chef
RUN cargo install cargo-chef
WORKDIR /app

FROM chef AS planner
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS builder
COPY --from=planner /app/recipe.json recipe.json
RUN cargo chef cook --release --recipe-path recipe.json
COPY . .
RUN cargo build --release

FROM gcr-mirror/distroless/cc-debian12:nonroot AS runtime
COPY --from=builder /app/target/release/app /
`,
    base: 'gcr-mirror/distroless/cc-debian12:nonroot',
    images: ['gcr-mirror/distroless/cc-debian12:nonroot', 'rust:1.80'],
  },
  {
    what: 'Python: a version of the build, uv copied from its image',
    text: `ARG PYTHON_VERSION
FROM python:\${PYTHON_VERSION:-3.12}-slim
COPY --from=ghcr.io/astral-sh/uv:0.4.18 /uv /uvx /bin/
WORKDIR /app
RUN --mount=type=bind,source=uv.lock,target=uv.lock uv sync --frozen --no-dev
`,
    base: 'python:3.13-slim',
    images: ['python:3.13-slim', 'ghcr.io/astral-sh/uv:0.4.18'],
    buildArgs: { PYTHON_VERSION: '3.13' },
  },
  {
    what: '.NET: the sdk for the machine that builds, the runtime for the target',
    text: `FROM --platform=\${BUILDPLATFORM:-linux/amd64} mcr.microsoft.com/dotnet/sdk:8.0 AS build
ARG TARGETARCH
WORKDIR /source
COPY *.csproj .
RUN dotnet restore -a $TARGETARCH
COPY . .
RUN dotnet publish -a $TARGETARCH --no-restore -o /app

FROM mcr.microsoft.com/dotnet/aspnet:8.0
COPY --from=build /app .
USER $APP_UID
ENTRYPOINT ["./app"]
`,
    base: 'mcr.microsoft.com/dotnet/aspnet:8.0',
    images: ['mcr.microsoft.com/dotnet/aspnet:8.0', 'mcr.microsoft.com/dotnet/sdk:8.0'],
  },
  {
    what: 'PHP: composer mounted into a step, extensions copied',
    text: `FROM php:8.3-fpm-alpine AS base
COPY --from=mlocati/php-extension-installer:2 /usr/bin/install-php-extensions /usr/local/bin/
RUN --mount=type=bind,from=composer:2,source=/usr/bin/composer,target=/usr/bin/composer \\
    --mount=type=cache,target=/tmp/cache \\
    composer install
FROM base AS dev
RUN install-php-extensions xdebug
FROM base
RUN docker-php-ext-enable opcache
`,
    base: 'php:8.3-fpm-alpine',
    images: ['php:8.3-fpm-alpine', 'mlocati/php-extension-installer:2', 'composer:2'],
  },
  {
    what: 'an edition chosen by the build arguments: the name of a stage is made of them',
    text: `ARG EDITION=community
FROM debian:12-slim AS common
FROM common AS community
RUN true
FROM quay.io/team/licensed:1 AS enterprise
FROM \${EDITION}
CMD ["/bin/true"]
`,
    base: 'quay.io/team/licensed:1',
    images: ['quay.io/team/licensed:1', 'debian:12-slim'],
    unneeded: ['debian:12-slim'],
    buildArgs: { EDITION: 'enterprise' },
  },
  {
    what: 'a proxy registry before every name, slim or not',
    text: `ARG REGISTRY=registry.example.com:5000
ARG PREFIX="\${REGISTRY}/mirror/"
ARG SLIM
FROM \${PREFIX}node:20\${SLIM:+-slim} AS build
FROM \${PREFIX:-docker.io/}nginx:1.27\${SLIM:+-alpine}
COPY --from=build /usr/share /usr/share
`,
    base: 'registry.example.com:5000/mirror/nginx:1.27-alpine',
    images: [
      'registry.example.com:5000/mirror/nginx:1.27-alpine',
      'registry.example.com:5000/mirror/node:20-slim',
    ],
    buildArgs: { SLIM: '1' },
  },
  {
    what: 'Windows habits: a byte order mark, CRLF, and ` as the escape',
    text: '\uFEFF# escape=`\r\n\r\nFROM mcr.microsoft.com/powershell:lts AS build\r\nWORKDIR C:\\app\r\nRUN one; `\r\n    two\r\n\r\nFROM `\r\n  mcr.microsoft.com/windows/nanoserver:ltsc2022\r\nCOPY --from=build C:\\app C:\\app\r\n',
    base: 'mcr.microsoft.com/windows/nanoserver:ltsc2022',
    images: ['mcr.microsoft.com/windows/nanoserver:ltsc2022', 'mcr.microsoft.com/powershell:lts'],
  },
  {
    what: 'one long RUN with comments and blank lines in it',
    text: `FROM ubuntu:24.04
LABEL maintainer="somebody" \\
      description="FROM nowhere:1 \\
      is no stage"
RUN set -eux; \\
    # FROM commented:1
    apt-get update; \\

    apt-get install -y --no-install-recommends \\
      ca-certificates \\
# a comment at the margin
      curl; \\
    rm -rf /var/lib/apt/lists/*
`,
    base: 'ubuntu:24.04',
    images: ['ubuntu:24.04'],
  },
  {
    what: 'stages by number, and a number that is an image of a registry',
    text: `FROM alpine:3.20
RUN touch /zero
FROM alpine:3.19
RUN touch /one
FROM busybox:1.36
COPY --from=0 /zero /
COPY --from=1 /one /
COPY --from=quay.io/team/2 /two /
`,
    base: 'busybox:1.36',
    images: ['busybox:1.36', 'alpine:3.20', 'alpine:3.19', 'quay.io/team/2:latest'],
  },
  {
    what: 'a target in the middle: what comes after it is not needed',
    text: `FROM golang:1.22 AS build
RUN go build ./...
FROM build AS test
RUN go test ./...
FROM golangci/golangci-lint:v1.60 AS lint
COPY --from=build /src /src
FROM alpine:3.20 AS release
COPY --from=build /app /app
`,
    base: 'golang:1.22',
    images: ['golang:1.22'],
    target: 'test',
  },
  {
    what: 'ONBUILD for others, which takes nothing now',
    text: `FROM quay.io/team/builder:2
ONBUILD COPY package.json .
ONBUILD COPY --from=quay.io/team/assets:1 /a /a
ONBUILD RUN npm install
CMD ["npm", "start"]
`,
    base: 'quay.io/team/builder:2',
    images: ['quay.io/team/builder:2'],
  },
  {
    what: 'lower-case instructions, tabs, and flags before the name',
    text: 'arg\tTAG=12\nfrom\t--platform=linux/amd64\tdebian:${TAG}-slim\tas\tBuild\nrun true\nfrom --platform=linux/amd64 debian:${TAG}-slim\ncopy --from=BUILD /x /x\n',
    base: 'debian:12-slim',
    images: ['debian:12-slim'],
  },
  {
    what: 'quoted defaults with spaces around, single and double, and one that uses another',
    text: `ARG REPO='ghcr.io/team'
ARG NAME="app"
ARG TAG=1.0
ARG IMAGE="\${REPO}/\${NAME}:\${TAG}"
FROM \${IMAGE} AS app
FROM "ghcr.io/team/app:2.0"
COPY --from=app / /
`,
    base: 'ghcr.io/team/app:2.0',
    images: ['ghcr.io/team/app:2.0', 'ghcr.io/team/app:1.0'],
  },
  {
    what: 'a stage with the name of an image that an earlier one still takes from the registry',
    text: `FROM nginx:1.27 AS assets
FROM node:22 AS nginx
COPY --from=assets /etc /etc
FROM nginx
COPY --from=nginx:1.27 /usr /usr
`,
    base: 'node:22',
    images: ['node:22', 'nginx:1.27'],
  },
  {
    what: 'a context of bind mounts and tmpfs, from stages that nothing else needs',
    text: `FROM quay.io/team/tools:3 AS tools
FROM quay.io/team/data:3 AS data
FROM alpine:3.20
RUN --mount=type=bind,from=tools,target=/tools --mount=type=tmpfs,target=/tmp \\
    --mount=target=/data,from=data,readonly /tools/run /data
`,
    base: 'alpine:3.20',
    images: ['alpine:3.20', 'quay.io/team/tools:3', 'quay.io/team/data:3'],
  },
  {
    what: 'heredocs: a script and files, with what looks like instructions in them',
    text: `# syntax=docker/dockerfile:1.4
FROM debian:12
RUN <<EOF
set -e
# FROM nowhere:1
apt-get update
EOF
COPY <<nginx.conf <<"index.html" /etc/nginx/
FROM nowhere:2
nginx.conf
COPY --from=nowhere:3 / /
index.html
RUN <<-PY python3
	print("FROM nowhere:4")
	PY
FROM nginx:1
COPY --from=0 /etc/nginx /etc/nginx
`,
    base: 'nginx:1',
    images: ['nginx:1', 'debian:12'],
    newer: true,
  },
  {
    what: 'a name for each architecture, made of what the engine sets',
    text: `FROM quay.io/team/base-\${TARGETARCH}:1
FROM alpine:3.20
COPY --from=0 /x /x
`,
    base: 'alpine:3.20',
    images: ['alpine:3.20'],
    uncertain: true,
  },
  {
    what: 'stages for each architecture, of which the engine chooses one',
    text: `FROM alpine:3.20 AS bin-amd64
FROM alpine:3.19 AS bin-arm64
FROM bin-\${TARGETARCH} AS bin
FROM busybox:1.36
COPY --from=bin /bin/x /bin/x
`,
    base: 'busybox:1.36',
    images: ['busybox:1.36', 'alpine:3.20', 'alpine:3.19'],
    unneeded: ['alpine:3.19'],
    uncertain: true,
  },
  {
    what: 'an ARG in a stage that hides the one before it, and a COPY from what it names',
    text: `ARG VERSION=1
FROM alpine:3.20 AS one
ARG VERSION=2
RUN echo $VERSION
FROM quay.io/team/app:v\${VERSION}
ARG VERSION
LABEL version=$VERSION
`,
    base: 'quay.io/team/app:v1',
    images: ['quay.io/team/app:v1', 'alpine:3.20'],
    unneeded: ['alpine:3.20'],
  },
];
