//! The GitHub Actions workflow: master (or main) is production, the staging branch is staging.

use super::{Answers, deployer_role};

pub(super) fn text(answers: &Answers) -> String {
    let region = answers.region.as_deref().unwrap_or("us-east-1");
    let account = answers.account.as_deref().unwrap_or("ACCOUNT");
    let role = deployer_role(answers);
    // GitHub's own token is for GitHub alone.
    let git_token = match answers.states.starts_with("https://github.com/") {
        true => "secrets.MAYFLY_GIT_TOKEN || secrets.GITHUB_TOKEN",
        false => "secrets.MAYFLY_GIT_TOKEN",
    };
    format!(
        "\
# Deploys: a push to master or main goes to production, one to staging to staging.
name: deploy
on:
  push:
    branches: [master, main, staging]
permissions:
  contents: read
  deployments: write   # for `github:` in mayfly.yaml
  id-token: write      # for AWS: no key is kept anywhere
# One deployment of an environment at a time; Mayfly's own lock guards against everybody else.
concurrency:
  group: deploy-${{{{ github.ref_name }}}}
  cancel-in-progress: false
jobs:
  deploy:
    runs-on: ubuntu-latest
    timeout-minutes: 60
    steps:
      - uses: actions/checkout@v4
      - uses: aws-actions/configure-aws-credentials@v4
        with:
          role-to-assume: arn:aws:iam::{account}:role/{role}
          aws-region: {region}
      # Put `mayfly` on the path here: a release of your own, or `cargo install --locked --path deployer`.
      - run: mayfly deploy --yes --env \"${{{{ github.ref_name == 'staging' && 'staging' || 'production' }}}}\"
        env:
          GITHUB_TOKEN: ${{{{ secrets.GITHUB_TOKEN }}}}
          # A token that may read the state repository, where that is another one.
          MAYFLY_GIT_TOKEN: ${{{{ {git_token} }}}}
          MAYFLY_WEBHOOK: ${{{{ secrets.MAYFLY_WEBHOOK }}}}
"
    )
}
