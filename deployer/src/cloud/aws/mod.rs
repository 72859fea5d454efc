//! AWS behind [`Cloud`]: clients, deadlines, retries and the sorting of errors. The calls are in `ec2`, `elb`, `elbv2` and
//! `ssm`; [`rights`] lists what each asks for.

mod convert;
mod ec2;
mod elb;
mod elbv2;
pub mod rights;
mod s3;
mod ssm;

use super::*;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::config::timeout::TimeoutConfig;
use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::error::SdkError;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Mutex;
use std::time::Duration;

/// Attempts of a call that may be repeated, with growing, jittered pauses between them.
const ATTEMPTS: u32 = 4;

/// What the command line decides about AWS.
#[derive(Debug, Clone, Default)]
pub struct AwsOptions {
    /// Region, in place of the SDK's chain.
    pub region: Option<String>,
}

/// AWS, or whatever answers at `AWS_ENDPOINT_URL`.
pub struct Aws {
    ec2: aws_sdk_ec2::Client,
    elb: aws_sdk_elasticloadbalancing::Client,
    elbv2: aws_sdk_elasticloadbalancingv2::Client,
    ssm: aws_sdk_ssm::Client,
    /// Target groups by name, once they were looked up.
    arns: Mutex<BTreeMap<String, String>>,
    s3: s3::S3,
}

impl Aws {
    /// Reads credentials, region and endpoint from the environment and the shared files, as every AWS tool does.
    pub async fn connect(options: &AwsOptions) -> Self {
        let config = shared_config(options).await;
        Self {
            ec2: aws_sdk_ec2::Client::new(&config),
            elb: aws_sdk_elasticloadbalancing::Client::new(&config),
            elbv2: aws_sdk_elasticloadbalancingv2::Client::new(&config),
            ssm: aws_sdk_ssm::Client::new(&config),
            arns: Mutex::default(),
            s3: s3::S3 {
                credentials: config.credentials_provider(),
                region: config.region().map(|region| region.as_ref().to_owned()),
                endpoint: s3_endpoint(&config),
            },
        }
    }
}

impl Aws {
    /// The region that it was connected to.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.s3.region.as_deref()
    }
}

/// As the SDK's own S3 client finds it.
fn s3_endpoint(config: &SdkConfig) -> Option<String> {
    let own = std::env::var("AWS_ENDPOINT_URL_S3").ok().filter(|url| !url.is_empty());
    own.or_else(|| config.endpoint_url().map(str::to_owned))
}

async fn shared_config(options: &AwsOptions) -> SdkConfig {
    let tls = tls::Provider::Rustls(CryptoMode::Ring);
    let http = aws_smithy_http_client::Builder::new().tls_provider(tls).build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(30))
        .operation_timeout(Duration::from_secs(90))
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    }
    loader.load().await
}

/// Settings of a classic ELB client for a sandbox, whatever the environment says of AWS.
#[must_use]
pub fn sandbox_elb_config(endpoint: &str) -> aws_sdk_elasticloadbalancing::Config {
    use aws_sdk_elasticloadbalancing::config::{Config, Credentials};
    let tls = tls::Provider::Rustls(CryptoMode::Ring);
    Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(aws_smithy_http_client::Builder::new().tls_provider(tls).build_https())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("sandbox", "sandbox", None, None, "sandbox"))
        .endpoint_url(endpoint)
        .build()
}

/// An SDK error as one of ours.
fn failed<E>(action: &'static str, error: &SdkError<E>) -> CloudError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(answer) => {
            let code = answer.err().code().unwrap_or("Unknown").to_owned();
            let kind = classify(&code, answer.raw().status().as_u16());
            let message = answer.err().message().unwrap_or("no message").to_owned();
            CloudError { action, kind, code: Some(code), message }
        }
        SdkError::ConstructionFailure(_) => CloudError::new(action, Kind::Setup, root_cause(error)),
        // A connection that ends before the answer does is `other` too, marked as passing: the call may have been heard.
        SdkError::DispatchFailure(failure)
            if failure.is_user() || (failure.is_other() && failure.as_other().is_none()) =>
        {
            CloudError::new(action, Kind::Setup, root_cause(error))
        }
        SdkError::TimeoutError(_) => CloudError::new(action, Kind::Ambiguous, "no answer in time"),
        _ => CloudError::new(action, Kind::Ambiguous, format!("no answer: {}", root_cause(error))),
    }
}

fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// An answer without a part that it always has.
fn incomplete(action: &'static str, what: &str) -> CloudError {
    CloudError::new(action, Kind::Unusable, format!("the answer lacks {what}"))
}

#[async_trait]
impl Cloud for Aws {
    async fn images(&self, filter: &ImageFilter) -> Answer<Vec<Image>> {
        self.describe_images(filter).await
    }

    async fn parameter(&self, name: &str) -> Answer<String> {
        self.get_parameter(name).await
    }

    async fn subnets(&self, ids: &[String]) -> Answer<Vec<Subnet>> {
        self.describe_subnets(ids).await
    }

    async fn instances_tagged(&self, tags: &Tags) -> Answer<Vec<Instance>> {
        self.describe_tagged(tags).await
    }

    async fn instances(&self, ids: &[String]) -> Answer<Vec<Instance>> {
        self.describe_ids(ids).await
    }

    async fn launch(&self, launch: &Launch) -> Answer<Vec<Instance>> {
        self.run_from_template(launch).await
    }

    async fn launch_builder(&self, launch: &BuilderLaunch) -> Answer<Instance> {
        self.run_builder(launch).await
    }

    async fn terminate(&self, ids: &[String]) -> Answer<()> {
        self.terminate_instances(ids).await
    }

    async fn console(&self, id: &str) -> Answer<String> {
        self.console_output(id).await
    }

    async fn tag(&self, id: &str, tags: &Tags) -> Answer<()> {
        self.create_tags(id, tags).await
    }

    async fn template(&self, name: &str) -> Answer<Option<Template>> {
        self.describe_template(name).await
    }

    async fn create_template(
        &self,
        name: &str,
        tags: &Tags,
        description: &str,
        data: &TemplateData,
    ) -> Answer<Template> {
        self.create_launch_template(name, tags, description, data).await
    }

    async fn create_version(&self, template: &str, description: &str, data: &TemplateData) -> Answer<i64> {
        self.create_template_version(template, description, data).await
    }

    async fn versions(&self, template: &str) -> Answer<Vec<Version>> {
        self.describe_versions(template).await
    }

    async fn versions_numbered(&self, template: &str, numbers: &[i64]) -> Answer<Vec<Version>> {
        self.describe_versions_numbered(template, numbers).await
    }

    async fn set_default(&self, template: &str, version: i64) -> Answer<()> {
        self.modify_default(template, version).await
    }

    async fn delete_template(&self, template: &str) -> Answer<()> {
        self.delete_launch_template(template).await
    }

    async fn balancer(&self, balancer: &BalancerRef) -> Answer<Balancer> {
        match balancer {
            BalancerRef::Classic(name) => self.describe_balancer(name).await,
            BalancerRef::TargetGroup(group) => self.describe_group(group).await,
        }
    }

    async fn members(&self, balancer: &BalancerRef) -> Answer<Vec<Member>> {
        match balancer {
            BalancerRef::Classic(name) => self.describe_health(name).await,
            BalancerRef::TargetGroup(group) => self.describe_target_health(group).await,
        }
    }

    async fn register(&self, balancer: &BalancerRef, targets: &[String]) -> Answer<()> {
        match balancer {
            BalancerRef::Classic(name) => self.register_instances(name, targets).await,
            BalancerRef::TargetGroup(group) => self.register_targets(group, targets).await,
        }
    }

    async fn deregister(&self, balancer: &BalancerRef, targets: &[String]) -> Answer<()> {
        match balancer {
            BalancerRef::Classic(name) => self.deregister_instances(name, targets).await,
            BalancerRef::TargetGroup(group) => self.deregister_targets(group, targets).await,
        }
    }

    async fn read_object(&self, object: &ObjectRef) -> Answer<Option<Object>> {
        self.get_object(object).await
    }

    async fn write_object(&self, object: &ObjectRef, body: &str, condition: &Condition) -> Answer<String> {
        self.put_object(object, body, condition).await
    }

    async fn delete_object(&self, object: &ObjectRef, etag: &str) -> Answer<()> {
        self.remove_object(object, etag).await
    }

    async fn create_image(&self, instance: &str, name: &str, tags: &Tags) -> Answer<String> {
        self.create_image_of(instance, name, tags).await
    }

    async fn instances_of(&self, images: &[String]) -> Answer<Vec<Instance>> {
        self.describe_of_images(images).await
    }

    async fn versions_in_use(&self) -> Answer<Vec<(String, Version)>> {
        self.describe_versions_in_use().await
    }

    async fn share_image(&self, image: &Image, accounts: &[String]) -> Answer<()> {
        self.share(image, accounts).await
    }

    async fn copy_image(&self, copy: &ImageCopy) -> Answer<String> {
        self.copy_image_here(copy).await
    }

    async fn delete_image(&self, image: &str) -> Answer<()> {
        self.deregister_image(image).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    async fn failure_at(endpoint: &str) -> CloudError {
        let config = sandbox_elb_config(endpoint).to_builder().retry_config(RetryConfig::disabled()).build();
        let answer = aws_sdk_elasticloadbalancing::Client::from_conf(config).describe_load_balancers().send();
        failed("DescribeLoadBalancers", &answer.await.expect_err("nobody answers"))
    }

    #[tokio::test]
    async fn a_call_that_was_heard_and_never_answered_may_have_taken_effect() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let deaf = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            stream.read_exact(&mut [0; 64]).await.expect("a request");
        });
        let error = failure_at(&endpoint).await;
        deaf.await.expect("it heard the call");
        assert_eq!(error.kind, Kind::Ambiguous, "{error}");
    }
}
