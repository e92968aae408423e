// The pipeline of ../template.yaml as a CDK application. `npx cdk deploy` finds the function's program in the folder that
// TRIGGER names: one that holds the example's trigger, called bootstrap.
'use strict';

const { App, CfnOutput, RemovalPolicy, Size, Stack, aws_batch: batch, aws_dynamodb: dynamodb, aws_ec2: ec2, aws_ecr: ecr,
  aws_ecs: ecs, aws_iam: iam, aws_lambda: lambda, aws_logs: logs, aws_s3: s3, aws_s3_notifications: notifications } = require('aws-cdk-lib');

class CsvToTable extends Stack {
  constructor(scope, id, trigger) {
    super(scope, id);

    const bucket = new s3.Bucket(this, 'Files', { versioned: true, removalPolicy: RemovalPolicy.DESTROY });
    const table = new dynamodb.Table(this, 'Table', {
      partitionKey: { name: 'ProductId', type: dynamodb.AttributeType.STRING },
      sortKey: { name: 'ProductName', type: dynamodb.AttributeType.STRING },
      billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const repository = new ecr.Repository(this, 'Loader', { removalPolicy: RemovalPolicy.DESTROY, emptyOnDelete: true });

    // The job: loads a file, or its share of one.
    const vpc = new ec2.Vpc(this, 'Network', { maxAzs: 2, natGateways: 1 });
    const maxvCpus = Number(this.node.tryGetContext('maxvCpus') ?? 40);
    const computeEnvironment = new batch.FargateComputeEnvironment(this, 'Fargate', { vpc, maxvCpus });
    const queue = new batch.JobQueue(this, 'Queue', { computeEnvironments: [{ order: 1, computeEnvironment }] });
    const jobRole = new iam.Role(this, 'JobRole', { assumedBy: new iam.ServicePrincipal('ecs-tasks.amazonaws.com') });
    bucket.grantReadWrite(jobRole);
    table.grantWriteData(jobRole);
    const job = new batch.EcsJobDefinition(this, 'Job', {
      container: new batch.EcsFargateContainerDefinition(this, 'Container', {
        image: ecs.ContainerImage.fromEcrRepository(repository, 'latest'),
        cpu: 0.25,
        memory: Size.mebibytes(512),
        jobRole,
        logging: ecs.LogDriver.awsLogs({
          streamPrefix: 'loader',
          logGroup: new logs.LogGroup(this, 'JobLog', { retention: logs.RetentionDays.TWO_WEEKS, removalPolicy: RemovalPolicy.DESTROY }),
        }),
      }),
    });

    // The function: one job for each file.
    const submit = new lambda.Function(this, 'Trigger', {
      runtime: lambda.Runtime.PROVIDED_AL2023,
      handler: 'bootstrap',
      code: lambda.Code.fromAsset(trigger),
      environment: {
        JOB_QUEUE: queue.jobQueueArn,
        JOB_DEFINITION: job.jobDefinitionArn,
        DB_TABLE_NAME: table.tableName,
      },
    });
    job.grantSubmitJob(submit, queue);
    bucket.addEventNotification(s3.EventType.OBJECT_CREATED, new notifications.LambdaDestination(submit), { suffix: '.csv' });

    for (const [name, value] of Object.entries({
      BucketName: bucket.bucketName,
      TableName: table.tableName,
      RepositoryUri: repository.repositoryUri,
      JobQueueName: queue.jobQueueName,
    })) {
      new CfnOutput(this, name, { value });
    }
  }
}

const app = new App();
new CsvToTable(app, 'csv-to-table-cdk', process.env.TRIGGER ?? 'trigger');
