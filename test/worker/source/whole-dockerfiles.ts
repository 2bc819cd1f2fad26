import { DIGEST, type DockerfileShape } from './dockerfile-shapes.ts';

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
