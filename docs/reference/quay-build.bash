# Made of what quay-build --help says; do not edit.

_quay_build() {
  local word=${COMP_WORDS[COMP_CWORD]} command= commands= options= files= position
  COMPREPLY=()
  for ((position = 1; position < COMP_CWORD; position++)); do
    case $command/${COMP_WORDS[position]} in
      /submit) command=/submit ;;
      /log) command=/log ;;
      /show | /status) command=/show ;;
      /list | /ls) command=/list ;;
      /cancel) command=/cancel ;;
      /audit) command=/audit ;;
      /workers) command=/workers ;;
      /namespaces) command=/namespaces ;;
      /credentials) command=/credentials ;;
      /readable) command=/readable ;;
      /workers/list | /workers/ls) command=/workers/list ;;
      /workers/show) command=/workers/show ;;
      /workers/drain) command=/workers/drain ;;
      /workers/resume) command=/workers/resume ;;
      /workers/forget) command=/workers/forget ;;
      /namespaces/list | /namespaces/ls) command=/namespaces/list ;;
      /namespaces/set) command=/namespaces/set ;;
      /namespaces/reset) command=/namespaces/reset ;;
      /credentials/list | /credentials/ls) command=/credentials/list ;;
      /credentials/set) command=/credentials/set ;;
      /credentials/remove | /credentials/rm) command=/credentials/remove ;;
      /readable/show) command=/readable/show ;;
      /readable/set) command=/readable/set ;;
    esac
  done
  case "$command ${COMP_WORDS[COMP_CWORD - 1]}" in
    '/submit --network') COMPREPLY=($(compgen -W 'default none host' -- "$word")); return ;;
    '/submit --dockerfile' | '/submit -f' | '/submit --context' | '/submit -c' | '/submit --secret' | '/submit --registry-auth' | '/submit --ssh' | '/submit --git-key' | '/submit --git-token') compopt -o default; return ;;
    '/submit --repository' | '/submit -r' | '/submit --registry' | '/submit --tag' | '/submit -t' | '/submit --build-arg' | '/submit --target' | '/submit --label' | '/submit --platform' | '/submit --cache-from' | '/submit --cache-to' | '/submit --memory' | '/submit --cpus' | '/submit --timeout' | '/submit --silence-timeout' | '/submit --max-tries' | '/submit --push-to' | '/submit --worker-label' | '/submit --priority' | '/submit --not-before' | '/submit --dedupe-key' | '/submit --git-user') return ;;
    '/list --state') COMPREPLY=($(compgen -W 'waiting starting running complete error internalerror cancelled' -- "$word")); return ;;
    '/list --repository' | '/list -r' | '/list --limit' | '/list -n') return ;;
    '/audit --actor' | '/audit --action' | '/audit --object' | '/audit --since' | '/audit --until' | '/audit --limit' | '/audit -n') return ;;
    '/workers/show --limit' | '/workers/show -n') return ;;
    '/namespaces/set --weight' | '/namespaces/set --max-running' | '/namespaces/set --max-waiting') return ;;
    '/credentials/list --namespace' | '/credentials/list -n') return ;;
    '/credentials/set --namespace' | '/credentials/set -n' | '/credentials/set --registry' | '/credentials/set --username') return ;;
    '/credentials/remove --namespace' | '/credentials/remove -n' | '/credentials/remove --registry') return ;;
    '/readable/show --namespace' | '/readable/show -n') return ;;
    '/readable/set --namespace' | '/readable/set -n') return ;;
  esac
  case $command in
    '') commands='submit log show list cancel audit workers namespaces credentials readable' options='--version --help' ;;
    /submit) options='--repository --registry --tag --dockerfile --context --build-arg --target --label --no-oci-labels --platform --cache-from --cache-to --memory --cpus --timeout --silence-timeout --max-tries --network --push-to --worker-label --require-worker --priority --not-before --exclusive --dedupe-key --secret --registry-auth --ssh --git-key --git-token --git-user --follow --detach --json --help' files=yes ;;
    /log) options='--follow --json --help' ;;
    /show) options='--json --help' ;;
    /list) options='--state --repository --limit --json --help' ;;
    /cancel) options='--json --help' ;;
    /audit) options='--actor --action --object --since --until --limit --json --help' ;;
    /workers) commands='list show drain resume forget' options='--help' ;;
    /workers/list) options='--json --help' ;;
    /workers/show) options='--limit --json --help' ;;
    /workers/drain) options='--wait --json --help' ;;
    /workers/resume) options='--json --help' ;;
    /workers/forget) options='--help' ;;
    /namespaces) commands='list set reset' options='--help' ;;
    /namespaces/list) options='--json --help' ;;
    /namespaces/set) options='--weight --max-running --max-waiting --json --help' ;;
    /namespaces/reset) options='--json --help' ;;
    /credentials) commands='list set remove' options='--help' ;;
    /credentials/list) options='--namespace --json --help' ;;
    /credentials/set) options='--namespace --registry --username --password-stdin --help' ;;
    /credentials/remove) options='--namespace --registry --help' ;;
    /readable) commands='show set' options='--help' ;;
    /readable/show) options='--namespace --json --help' ;;
    /readable/set) options='--namespace --json --help' ;;
  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$word"))
  elif [[ -n $files ]]; then
    compopt -o default
  else
    COMPREPLY=($(compgen -W "$commands" -- "$word"))
  fi
}
complete -F _quay_build quay-build
